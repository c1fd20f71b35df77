#pragma once

#include <string_view>
#include <vector>

#include "policy/remote/status.h"

// The parts of reports that programs write for programs. Pure; any thread; time linear in the text.
namespace replygate {

// message/delivery-status and message/global-delivery-status (RFC 3464, RFC 6533): a status for each recipient.
std::vector<RemoteStatus> read_delivery_report(std::string_view text);

// message/feedback-report (RFC 5965): what the recipient's provider reports.
std::vector<RemoteStatus> read_feedback_report(std::string_view text);

// What such a report would say of a complaint of this recipient, "<a@b>" or "a@b".
RemoteStatus complaint_of(std::string_view recipient);

// Whether a text without a header is one of the fields of a delivery report.
bool looks_like_delivery_report(std::string_view text);

}  // namespace replygate
