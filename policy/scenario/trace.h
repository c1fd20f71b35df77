#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/decide/gate.h"

namespace replygate {

// How one decision came about, rule by rule.
struct Trace {
  struct Compared {
    std::string condition;  // "when sender = \"$blocked\""
    std::string value;
    Truth truth = Truth::no;
  };
  struct Counter {
    std::string text;  // "alice@example.org: 499 + 1 <= 500 recipients / 1h"
    bool fits = true;
  };
  struct Step {
    std::string rule;
    std::string place;
    Truth holds = Truth::no;
    bool observed = false;
    std::string note;                // why it says nothing though it holds; "" for none
    std::vector<Compared> compared;  // those that decide: the ones that fail, else all
    std::vector<Counter> counters;
    bool answers = false;
  };

  Stage stage = Stage::connect;
  std::string recipient;  // "" but at rcpt
  std::vector<Step> steps;
  std::string answer;  // "453 4.5.3 text", "accepted by …", "" for go on
};

// Keeps a trace of each decision in which some rule was asked.
class Tracer final : public Witness {
 public:
  void judged(const Policy& policy, const Facts& facts, const Question& question, const Inquiry& inquiry,
              const std::vector<std::optional<Reading>>& readings, const Verdict& verdict) override;

  const std::vector<Trace>& traces() const { return traces_; }
  void clear() { traces_.clear(); }

 private:
  std::vector<Trace> traces_;
};

std::string_view to_string(Truth truth);

// For people, several lines.
std::string text_of(const Trace& trace);

}  // namespace replygate
