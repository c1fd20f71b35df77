#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "milter/outcome/outcome.h"
#include "milter/serve/note_carrier.h"

namespace replygate {

// Sees when others begin to refuse us, and when somebody here sends to addresses that do not exist: where that is no
// longer a matter of single messages, admins are told. It looks at the last half hour. On the reader's thread.
class OutcomeWatch final : public OutcomeListener {
 public:
  // `make` writes the note, where it may go.
  using Tell =
      std::function<void(NotifySettings::Event event, const std::string& key, const std::function<Note()>& make)>;

  explicit OutcomeWatch(Tell tell) : tell_(std::move(tell)) {}

  void hear(const MailOutcome& outcome) override;

 private:
  static constexpr std::size_t kMinutes = 30;

  struct Minute {
    std::int64_t number = -1;  // since the epoch
    std::int64_t all = 0;
    std::int64_t bad = 0;
  };
  // What happened to the mail of one key.
  struct Course {
    std::array<Minute, kMinutes> minutes{};
    Instant last{};
    Instant since{};  // of the first of the bad ones
    std::string text;
    std::string advice;
    std::string example;  // queue id
  };
  using Courses = boost::unordered_flat_map<std::string, Course>;
  struct Sum {
    std::int64_t all = 0;
    std::int64_t bad = 0;
  };

  static Course& course_of(Courses& courses, const std::string& key, Instant now);
  static Sum note(Course& course, const MailOutcome& outcome, bool bad);
  void hear_of_provider(const MailOutcome& outcome);
  void hear_of_sender(const MailOutcome& outcome);

  const Tell tell_;
  Courses providers_;
  Courses senders_;
};

}  // namespace replygate
