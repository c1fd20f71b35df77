#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Rules and dialogues in plain words, for an oracle that knows of the product what its documentation says. Times are
// microseconds since 1970, UTC.
namespace replygate::oracle::counts {

enum class Point : std::uint8_t { connect, helo, mail, rcpt, data, message };
enum class What : std::uint8_t { connections, messages, recipients, distinct, bytes, refusals, unknown };
enum class Over : std::uint8_t { time, day, week, month, message, session };
enum class Part : std::uint8_t { client_ip, client_net, helo, sender, user, recipient, recipient_domain };

// "3 recipients / 1h".
struct Cap {
  What what = What::messages;
  std::int64_t most = 0;
  Over over = Over::time;
  std::int64_t seconds = 0;  // of a time
  std::int64_t burst = 0;
  std::string period;  // as written

  std::string text() const;  // as a policy writes it, burst aside
};

struct Step {
  Cap after;
  int code = 550;
};

struct Own {
  bool all = false;  // "unlimited"
  std::vector<What> exempt;
  std::vector<Cap> caps;
};

struct Wait {
  std::int64_t seconds = 0;
  std::string text;  // as written; "": it is the default
};

struct Grey {
  Wait delay{300, ""};
  Wait retry_within{86400, ""};
  Wait remember{36 * 86400, ""};
  std::int64_t known_after = 0;  // never
  bool pool = false;             // one of kNet
};

struct Rule {
  std::string name;
  std::map<Part, std::string> when;
  std::vector<Part> per;
  std::vector<Cap> caps;
  std::optional<Grey> grey;
  std::map<std::string, Own> own;
  std::vector<Step> escalate;
  std::optional<Point> at;
  bool attempts = false;
  bool observe = false;
  bool accept = false;  // with limits: what is over them is held
  int code = 451;

  bool counts() const { return !caps.empty() || grey; }  // else it answers whenever it holds
};

struct Policy {
  bool berlin = false;  // else UTC
  std::vector<Rule> rules;
};

std::string text_of(const Policy& policy);

struct Act {
  enum class Kind : std::uint8_t { connect, helo, mail, rcpt, finish, reset, quit, lose };

  Kind kind = Kind::connect;
  int session = 0;
  std::int64_t wait = 0;  // microseconds before it
  std::string text;       // address of the client, name, path
  std::string user;
  bool mta_refused = false;
  std::int64_t octets = 0;  // of the message
};

std::string text_of(const Act& act);

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::string_view kHeld = "looked at by hand";
constexpr std::string_view kNet = "192.0.2.0/24";

// As [keys] cuts it.
std::string net_of(const std::string& ip);

}  // namespace replygate::oracle::counts
