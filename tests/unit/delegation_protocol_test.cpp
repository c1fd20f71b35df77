#include "milter/door/delegation_protocol.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

constexpr std::string_view kRequest =
    "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=some.domain.tld\n"
    "queue_id=8045F2AB23\nsender=foo@bar.tld\nrecipient=bar@foo.tld\nclient_address=1.2.3.4\n"
    "client_name=another.domain.tld\nclient_port=4321\nsize=12345\nsasl_method=plain\nsasl_username=you\n"
    "encryption_protocol=TLSv1.3\nencryption_cipher=X\nencryption_keysize=256\nfuture_attribute=a=b\n";

TEST(DelegationProtocol, ReadsTheAttributes) {
  const auto request = parse_delegation_request(kRequest).value();
  EXPECT_EQ(request.connect.ip, IpAddress::parse("1.2.3.4"));
  EXPECT_EQ(request.connect.name, "another.domain.tld");
  EXPECT_EQ(request.connect.port, 4321);
  EXPECT_EQ(request.helo, "some.domain.tld");
  EXPECT_EQ(request.mail.sender, "foo@bar.tld");
  EXPECT_EQ(request.mail.user, "you");
  EXPECT_EQ(request.mail.parameters, (std::vector<std::string>{"SIZE=12345"}));
  EXPECT_EQ(request.mail.tls.bits, 256);
  EXPECT_EQ(request.rcpt.recipient, "bar@foo.tld");
  EXPECT_EQ(request.state, "RCPT");
}

TEST(DelegationProtocol, RefusesOtherTalk) {
  EXPECT_FALSE(parse_delegation_request(""));
  EXPECT_FALSE(parse_delegation_request("GET / HTTP/1.0\nHost: x\n"));
  EXPECT_FALSE(parse_delegation_request("request=junk\n"));
  EXPECT_TRUE(parse_delegation_request("request=smtpd_access_policy"));
  EXPECT_FALSE(parse_delegation_request("request=smtpd_access_policy\n")->connect.ip);
}

TEST(DelegationProtocol, NeverPermits) {
  EXPECT_EQ(delegation_reply({}), "action=DUNNO\n\n");
  const std::vector<std::string> lines = {"no", "relaying"};
  EXPECT_EQ(delegation_reply({Reply::make(571, {5, 7, 1}, lines)}), "action=571 5.7.1 no relaying\n\n");
}

}  // namespace
}  // namespace replygate
