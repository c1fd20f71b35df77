#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include "milter/bounce/input.h"
#include "milter/bounce/report_ids.h"
#include "milter/bounce/status_files.h"
#include "milter/outcome/report_json.h"
#include "policy/remote/outcome_kind.h"

namespace replygate {
namespace {

TEST(Feedback, AComplaint) {
  const auto statuses = read_attempts(
      "From: fbl@provider.example\nTo: abuse@here.example\nSubject: complaint\nMIME-Version: 1.0\n"
      "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\nA "
      "complaint.\n"
      "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"
      "Original-Rcpt-To: <bob@there.example>\n\n--b--\n");
  ASSERT_EQ(statuses.size(), 1U);
  EXPECT_EQ(statuses[0].recipient, "bob@there.example");
  EXPECT_EQ(statuses[0].text, "Feedback-Type: abuse");
}

std::vector<RemoteStatus> feedback(const std::string& fields) {
  return read_attempts(
      "From: fbl@provider.example\nTo: abuse@here.example\nSubject: report\nMIME-Version: 1.0\n"
      "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
      "--b\nContent-Type: message/feedback-report\n\nUser-Agent: x/1\nVersion: 1\n" +
      fields + "\n--b--\n");
}

TEST(Feedback, AComplaintOfSeveral) {
  const auto statuses = feedback(
      "Feedback-Type: abuse\nOriginal-Rcpt-To: <bob@there.example>\n"
      "Original-Rcpt-To: <carol@there.example>\n");
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].recipient, "bob@there.example");
  EXPECT_EQ(statuses[1].recipient, "carol@there.example");
  EXPECT_EQ(feedback("Feedback-Type: abuse\n").size(), 1U);
}

// RFC 6591: a check failed. What became of the message, Delivery-Result says.
TEST(Feedback, AFailedCheckIsNoRefusal) {
  const auto book = open_status_book("").value();
  struct Case {
    const char* fields;
    OutcomeKind kind;
  };
  for (const Case& c : {Case{"Feedback-Type: auth-failure\nDelivery-Result: delivered\n", OutcomeKind::delivered},
                        Case{"Feedback-Type: auth-failure\nDelivery-Result: spam\n", OutcomeKind::delivered},
                        Case{"Feedback-Type: auth-failure\n", OutcomeKind::delivered},
                        Case{"Feedback-Type: auth-failure\nDelivery-Result: Reject\n", OutcomeKind::blocked},
                        Case{"Feedback-Type: auth-failure\nDelivery-Result: policy\n", OutcomeKind::blocked},
                        Case{"Feedback-Type: virus\n", OutcomeKind::delivered},
                        Case{"Feedback-Type: abuse\n", OutcomeKind::complaint}}) {
    const auto statuses = feedback(c.fields);
    ASSERT_EQ(statuses.size(), 1U) << c.fields;
    const auto explained = book->explain(statuses[0]);
    EXPECT_EQ(outcome_of(statuses[0], explained), c.kind) << c.fields;
    EXPECT_NE(explained.reason, Reason::delivered) << c.fields;
  }
}

TEST(Feedback, AComplaintWithoutAPartForPrograms) {
  const std::string head =
      "From: <staff@hotmail.example>\nTo: complaints@here.example\nSubject: complaint about message from 192.0.2.1\n"
      "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n";
  const std::string original =
      "From: ann@here.example\nTo: bob@there.example\nMessage-ID: <one@here.example>\n\nhi\n--b--\n";
  const std::string complaint = head + "X-HmXmrOriginalRecipient: <bob@there.example>\n" + original;
  const auto statuses = read_attempts(complaint);
  ASSERT_EQ(statuses.size(), 1U);
  const RemoteStatus& status = statuses.front();
  EXPECT_EQ(status.recipient, "bob@there.example");
  EXPECT_EQ(status.text, "Feedback-Type: abuse");
  EXPECT_EQ(ids_in_report(complaint).message_ids, std::vector<std::string>{"one@here.example"});
  EXPECT_TRUE(read_attempts(head + original).empty());
}

// Between the command and the daemon.
TEST(Feedback, IsHandedOnAsItWasRead) {
  const OutcomeLedger::Report report{feedback("Feedback-Type: auth-failure\n"), {}, {}};
  const OutcomeLedger::Report read = report_in(to_json(report));
  ASSERT_EQ(read.statuses.size(), 1U);
  EXPECT_TRUE(read.statuses[0].reported);
  EXPECT_EQ(read.statuses[0].told, Severity::success);
}

}  // namespace
}  // namespace replygate
