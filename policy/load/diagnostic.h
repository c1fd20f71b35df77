#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/shared_text.h"

// What is wrong with a policy, where, and what to do. Values and their rendering; nothing is decided here.
namespace replygate {

// A stretch of a source file; lines and columns from 1, columns in octets, end column exclusive.
struct Region {
  SharedText file;
  unsigned line = 0;
  unsigned column = 0;
  unsigned end_line = 0;
  unsigned end_column = 0;
};

// Stable numbers: scripts and documentation name them.
enum class Rg : std::uint16_t {
  unreadable_file = 1000,
  syntax = 1001,
  unknown_key = 1002,
  wrong_type = 1003,
  missing_key = 1004,
  version = 1005,
  not_a_choice = 1006,
  defined_twice = 1007,
  include = 1008,
  quantity = 1101,
  unit_missing = 1102,
  network = 1103,
  host_bits = 1104,
  socket_address = 1105,
  domain = 1106,
  out_of_range = 1107,
  timezone = 1108,
  not_a_refusal = 1201,
  enhanced_syntax = 1202,
  contradiction = 1203,
  foreign_code = 1204,
  reply_text = 1205,
  reply_too_long = 1206,
  unknown_reply = 1207,
  reply_lines = 1208,
  unknown_fact = 1301,
  pattern_type = 1302,
  outcome = 1303,
  too_early = 1304,
  regex = 1305,
  recipient_too_late = 1306,
  never_holds = 1307,
  cannot_match = 1308,
  unreachable = 1309,
  header_field = 1310,
  header_never = 1311,
  override_key = 1312,
  cannot_shield = 1313,
  shared_key = 1314,
  few_recipients = 1315,
  external_untold = 1316,
  limit_syntax = 1401,
  unknown_unit = 1402,
  unit_stage = 1403,
  limit_missing = 1404,
  limit_twice = 1405,
  burst = 1406,
  greylist = 1407,
  escalation = 1408,
  step_unreached = 1409,
  limit_idle = 1410,
  limit_stays = 1411,
  share_limit = 1412,
  outcomes_unknown = 1413,
  key_idle = 1414,
  unknown_list = 1501,
  list_unreadable = 1502,
  list_source = 1503,
  mailbox_source = 1504,
  empty_list = 1505,
  live_source = 1506,
  live_list = 1507,
  engine = 1602,
  store = 1603,
  service = 1604,
  open_relay = 1701,
  relay_undecided = 1702,
  test_failed = 1801,
  test_wrong = 1802,
};

// One row for `replygate explain RGnnnn`.
struct RgInfo {
  Rg code;
  std::string_view title;
  std::string_view explanation;
};
std::span<const RgInfo> rg_table();
const RgInfo* find_rg(int number);

struct Label {
  Region region;
  std::string text;  // may be empty
};

struct Diagnostic {
  // An error keeps the policy from being taken; a note is worth knowing, and no reason to change anything.
  enum class Level : std::uint8_t { error, warning, note };

  Level level = Level::error;
  Rg code = Rg::syntax;
  std::string message;
  Label primary;
  std::optional<Label> secondary;
  std::string help;  // "" for none
};

// The texts of the files that diagnostics point into, by name.
using Sources = std::map<std::string, std::string, std::less<>>;

std::string_view to_string(Diagnostic::Level level);

// With excerpt and carets, LF at the end of each line.
std::string render(const Diagnostic& diagnostic, const Sources& sources);
// An array, one object for each diagnostic.
std::string render_json(std::span<const Diagnostic> diagnostics);

}  // namespace replygate
