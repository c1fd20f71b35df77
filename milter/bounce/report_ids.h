#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// By what the message that a report is about may be found: ids that its header, what is left of it, or the report name.
// Text of strangers; a bounded number of each.
struct ReportIds {
  std::vector<std::string> queue_ids;
  std::vector<std::string> message_ids;  // without brackets
};

// Of a report as it came, what it holds in base64 or quoted-printable included. Time linear in the text. Not to be
// called from two threads at once.
ReportIds ids_in_report(std::string_view text);

}  // namespace replygate
