#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "milter/log/rendering.h"
#include "milter/serve/note_carrier.h"
#include "milter/serve/told_notes.h"
#include "milter/store/health.h"

namespace replygate {

// Tells admins of what [notify] names: by mail, to a web server, or both; and users of their own limits, by mail. Each
// note has a deadline, and thrice at most. An event of a key is told once in a pause, and no more than so many in an
// hour; what is left out is counted and told with the admins' next one. hear() never waits. Any thread.
class Notifier final : public RecordListener {
 public:
  struct Figures {
    std::int64_t sent = 0;
    std::int64_t failed = 0;
    std::int64_t left_out = 0;
    std::string trouble;  // of the last note that was given up; "" once one has arrived
  };
  struct Pauses {
    std::chrono::milliseconds attempts{5000};  // between two to carry one note
    std::chrono::milliseconds look{1000};      // between two looks at the store and what else is watched
  };
  using Clock = std::chrono::steady_clock;

  // `carriers` bring notes to people; `health` outlives it.
  Notifier(const NotifySettings& settings, std::vector<std::unique_ptr<NoteCarrier>> carriers,
           const StoreHealth& health)
      : Notifier(settings, std::move(carriers), health, Pauses{}) {}
  Notifier(const NotifySettings& settings, std::vector<std::unique_ptr<NoteCarrier>> carriers,
           const StoreHealth& health, Pauses pauses);
  ~Notifier() override { stop(); }

  // Tells the admins of what is in no record, if they want to know of `event`. `make` writes the note, without its
  // event, where it may go.
  void tell_admins(NotifySettings::Event event, const std::string& key, const std::function<Note()>& make);
  // Something beside the store whose trouble admins are told of as they are of the store's, and of its end; before
  // start().
  struct Watched {
    std::string begun;  // the subjects
    std::string over;
    std::function<std::string()> trouble;  // "": all is well; asked on the notifier's thread
    std::string told = {};
  };
  void watch(Watched watched) { watched_.push_back(std::move(watched)); }
  // The file that keeps what was told, so that a restart does not tell it again; before start(), and before anybody is
  // told.
  void keep_told(std::string file);
  // Who is told when notes are lost, and with "" when one has arrived again; before start().
  void on_trouble(std::function<void(const std::string&)> told) { troubled_ = std::move(told); }
  void hear(Rendering& rendering) override;
  void start();
  void stop();

  Figures figures() const;
  boost::json::object report() const;

  // Whether a note to the admins may go now; counts it. For tests, too.
  bool admit(NotifySettings::Event event, const std::string& key, Clock::time_point now) {
    return admit(admins_, event, key, now);
  }

 private:
  // Those who are told the same things, and what they have been told.
  struct Audience {
    const std::vector<NotifySettings::Event>& on;
    Duration pause;
    ToldNotes told = {};  // by event and key
    std::deque<Clock::time_point> last_hour = {};
  };

  bool admit(Audience& audience, NotifySettings::Event event, const std::string& key, Clock::time_point now);
  void hear(const Record& record, const Verdict& verdict, const Recipient* recipient);
  void hear_warning(const Record& record, const LimitUse& use, const Recipient* recipient);
  void hear_refusal(const Record& record, const Verdict& verdict, const Recipient* recipient);
  void hear_held(const Record& record);
  // `make` writes the note, without its event, where it may go.
  template <typename Make>
  void tell(NotifySettings::Event event, const std::string& key, Make make);
  template <typename Make>
  void tell_user(NotifySettings::Event event, const Record& record, const Rule& rule, Make make);
  void queue(NotifySettings::Event event, Note note);  // mutex_ is held
  void run();
  void carry(const Note& note);
  void write_told(std::unique_lock<std::mutex>& lock);
  void look_at(Watched& watched);
  void note_trouble(const std::string& why);

  const NotifySettings settings_;
  const Pauses pauses_;
  const std::vector<std::unique_ptr<NoteCarrier>> carriers_;
  std::vector<Watched> watched_;  // of the thread, once it runs
  std::function<void(const std::string&)> troubled_;
  std::string told_file_;  // "": none

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Note> queue_;
  Audience admins_{settings_.on, settings_.pause};
  Audience users_{settings_.users.on, settings_.users.pause};
  Figures figures_;
  std::int64_t untold_ = 0;  // left out since the last note
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace replygate
