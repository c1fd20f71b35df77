#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "milter/bounce/input.h"
#include "milter/bounce/status_files.h"
#include "policy/catalogue/classes.h"
#include "policy/mail/text.h"
#include "policy/remote/phrase_set.h"
#include "policy/remote/reply_reader.h"
#include "policy/remote/status_book.h"
#include "policy/remote/wording.h"

namespace replygate {
namespace {

std::vector<StatusFile> built_in() {
  std::string error;
  auto files = status_files("/nonexistent", error);
  EXPECT_EQ(error, "");
  return files;
}

StatusBook& book() {
  static const auto kBook = StatusBook::create(load_statuses(built_in()).value()).value();
  return *kBook;
}

// What we say ourselves is classified as others who say it are: by the same table, and by the same reading of texts.
TEST(Reasons, EachClassificationIsWhatItsReplySays) {
  for (const Classification& c : classifications()) {
    const Reason reason = reason_of_class(c.slug);
    EXPECT_NE(reason, Reason::unspecified) << c.slug;
    const auto status = read_status(std::to_string(c.code) + " " + c.enhanced.text() + " " + std::string(c.text));
    EXPECT_EQ(info_of(book().explain(status).reason).slug, info_of(reason).slug) << c.slug << ": " << c.text;
  }
}

// --- the data
// ---------------------------------------------------------------------------------------------------------

TEST(StatusData, NamesItsSources) {
  for (const StatusEntry& entry : book().knowledge().entries) {
    EXPECT_TRUE(entry.source.starts_with("https://")) << entry.place << " " << entry.source;
  }
}

TEST(StatusData, IsWrittenInLowerCase) {
  for (const StatusEntry& entry : book().knowledge().entries) {
    for (const std::string& phrase : entry.phrases) {
      for (std::size_t i = 0; i < phrase.size(); ++i) {
        const bool capital = phrase[i] >= 'A' && phrase[i] <= 'Z' && (i == 0 || phrase[i - 1] != '\\');
        EXPECT_FALSE(capital) << entry.place << ": texts are in lower case when \"" << phrase << "\" sees them";
      }
    }
  }
}

TEST(StatusData, SaysNothingTwice) {
  std::set<std::string> seen;
  for (const StatusEntry& entry : book().knowledge().entries) {
    const bool plain = entry.codes.empty() && entry.enhanced.empty() && entry.at.empty() && !entry.severity;
    for (const std::string& phrase : entry.phrases) {
      const std::string key = std::to_string(static_cast<int>(entry.ground)) + phrase;
      EXPECT_FALSE(plain && entry.ground != Ground::provider && !seen.insert(key).second)
          << entry.place << ": " << phrase;
    }
  }
}

bool is_literal(std::string_view phrase) {
  return phrase.find_first_of("\\[](){}.*+?|^$") == std::string_view::npos && phrase.size() > 5;
}

// A phrase without signs of an expression is a text that it is meant for.
// tests/statuses/lines.tsv: what servers of many makes say, in several languages.
TEST(StatusData, KnowsLinesOfManyServers) {
  std::ifstream lines(STATUS_LINES);
  std::size_t seen = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto parts = split(line, '\t');
    ASSERT_EQ(parts.size(), 3U) << line;
    for (const RemoteStatus& status : read_line(parts[2])) {
      const Explained explained = book().explain(status);
      EXPECT_EQ(info_of(explained.reason).slug, parts[0]) << line;
      EXPECT_EQ(explained.dead.value_or(false), parts[1] == "1") << line;
      ++seen;
    }
  }
  EXPECT_GE(seen, 700U);
}

TEST(StatusData, NoEntryStandsInTheShadowOfAnEarlierOne) {
  for (const StatusEntry& entry : book().knowledge().entries) {
    if (entry.ground == Ground::provider || entry.ground == Ground::guess || !entry.codes.empty() ||
        !entry.enhanced.empty() || !entry.at.empty() || entry.no_enhanced) {
      continue;
    }
    for (const std::string& phrase : entry.phrases) {
      if (!is_literal(phrase)) continue;
      RemoteStatus status;
      status.text = phrase;
      status.told = entry.severity;
      EXPECT_EQ(info_of(book().explain(status).reason).slug, info_of(entry.reason).slug)
          << entry.place << ": " << phrase;
    }
  }
}

// --- looking for expressions
// ---------------------------------------------------------------------------------------------------------

TEST(SurePiece, IsWhatNoMatchIsWithout) {
  constexpr std::pair<std::string_view, std::string_view> kPieces[] = {
      {"user unknown", "user unknown"},
      {"(?:user|mailbox) unknown", " unknown"},
      {"mailbox(?: is)? full", "mailbox"},
      {"no such users? here", "no such user"},
      {"ab+c?d", "ab"},
      {"unknown|no such user", ""},
      {"(unknown|no such user)", ""},
      {"quota [^]x] exceeded", " exceeded"},
      {"code [[:digit:]]x", ""},
      {R"(amazonaws\.com)", "amazonaws"},
      {R"(\bspam\b.{0,30}list)", "spam"},
      {R"(ab\x41bcde)", "bcde"},
      {R"(ab\x{41}bcde)", ""},
      {R"(ab\x4)", ""},
      {R"(ab\x4gcde)", ""},
      {R"(a\Q(bcde\E)", ""},
      {"a{b|cde}f", ""},
      {"xy{2}", "x"},
      {"(?i)USER", ""},
      {"(?:a(b|c)d)efg", "efg"},
      {"open(", ""},
      {"open)", ""},
      {"[open", ""},
      {"open\\", ""},
      {"", ""},
  };
  for (const auto& [expression, piece] : kPieces) EXPECT_EQ(sure_piece(expression), piece) << expression;
}

// One by one, and then all at once.
TEST(PhraseSet, TheFirstTextsAreLookedAtAsAllOthers) {
  PhraseSet many;
  std::vector<std::string> all;
  for (const StatusEntry& entry : book().knowledge().entries) {
    for (const std::string& phrase : entry.phrases) all.push_back(phrase);
  }
  for (std::size_t i = 0; i < all.size(); ++i) many.add(all[i], i);
  std::vector<std::size_t> hits;
  for (int i = 0; i < 20; ++i) many.look_at("", hits);
  std::ifstream lines(STATUS_LINES);
  std::string line;
  while (std::getline(lines, line)) {
    const std::string text = masked(line);
    hits.clear();
    many.look_at(text, hits);
    const std::set<std::size_t> found(hits.begin(), hits.end());
    PhraseSet few;
    for (const std::size_t i : found) few.add(all[i], i);
    hits.clear();
    few.look_at(text, hits);
    EXPECT_EQ(std::set(hits.begin(), hits.end()), found) << text;
  }
}

TEST(StatusData, MistakesAreNamed) {
  const auto error_of = [](std::string text) {
    const auto loaded = load_statuses({{"x.toml", std::move(text)}});
    return loaded ? "" : loaded.error();
  };
  EXPECT_NE(error_of("a = 1").find("x.toml:1: there is no key \"a\""), std::string::npos);
  EXPECT_NE(error_of("[[phrase]]\nreason = \"x\"\nphrase = \"y\"\nsource = \"z\"").find("no reason \"x\""),
            std::string::npos);
  EXPECT_NE(error_of("[[phrase]]\nreason = \"spam\"\nphrase = \"y\"").find("needs a source"), std::string::npos);
  EXPECT_NE(error_of("[[phrase]]\nreason = \"spam\"\nsource = \"z\"").find("needs a phrase"), std::string::npos);
  EXPECT_NE(error_of("[[status]]\nreason = \"spam\"\nphrase = \"y\"\nsource = \"z\"").find("[[phrase]]"),
            std::string::npos);
  EXPECT_NE(error_of("[[phrase]]\nreason = \"spam\"\nphrase = \"{no}\"\nsource = \"z\"").find("[words] has no {no}"),
            std::string::npos);
  EXPECT_NE(error_of("[[phrase]\n").find("x.toml:1:"), std::string::npos);
  auto loaded = load_statuses({{"x.toml", "[[phrase]]\nreason = \"spam\"\nphrase = \"(\"\nsource = \"z\""}});
  ASSERT_TRUE(loaded);
  const auto made = StatusBook::create(*std::move(loaded));
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().find("x.toml:1"), std::string::npos);
}

TEST(StatusData, ReasonsHaveClassificationsOfTheCatalogue) {
  for (const ReasonInfo& info : reasons()) {
    EXPECT_EQ(reason_from(info.slug), info.reason);
    EXPECT_TRUE(info.classification.empty() || find_classification(info.classification) != nullptr) << info.slug;
    EXPECT_EQ(fault_from(to_string(info.fault)), info.fault);
  }
}

// --- what is made of replies
// --------------------------------------------------------------------------------------------

struct Kind {
  const char* text;
  const char* reason;
  bool dead;
};

class StatusKinds : public testing::TestWithParam<Kind> {};

TEST_P(StatusKinds, AreToldApart) {
  const RemoteStatus status = read_status(GetParam().text);
  const Explained explained = book().explain(status);
  EXPECT_EQ(info_of(explained.reason).slug, GetParam().reason) << GetParam().text << " by " << explained.matched;
  EXPECT_EQ(explained.dead.value_or(false), GetParam().dead) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Recipients, StatusKinds,
    testing::Values(
        Kind{"550 5.1.1 <ann@a.example>: there is no mailbox of that name, user unknown", "user_unknown", true},
        Kind{"550 We know no such recipient here", "user_unknown", true},
        Kind{"553 the address ann@a.example could not be found", "user_unknown", true},
        Kind{"550 5.4.1 Recipient address rejected: Access denied. [x.prod.protection.outlook.com]", "user_unknown",
             true},
        Kind{"550 Dieser Benutzer existiert nicht", "user_unknown", true},
        Kind{"550 El usuario no existe", "user_unknown", true}, Kind{"550 Utilisateur inconnu", "user_unknown", true},
        Kind{"550 5.2.1 This account has been disabled for good", "mailbox_disabled", true},
        Kind{"502 5.5.1 VRFY command is disabled", "protocol", false},
        Kind{"554 5.7.1 connection refused", "ip_blocked", false},
        Kind{"550 the mailbox is temporarily suspended", "mailbox_disabled", false},
        Kind{"551 5.1.6 the recipient has moved to another server", "has_moved", true},
        Kind{"Host or domain name not found. Name service error for name=a.example type=A: Host not found",
             "domain_unknown", true},
        Kind{"Host or domain name not found. Name service error for name=a.example type=MX: Host not found, try again",
             "network", false},
        Kind{"452 4.2.2 The mailbox of ann@a.example is full", "mailbox_full", false},
        Kind{"550 le quota depasse, boite pleine", "mailbox_full", false},
        Kind{"550 5.7.129 not in the list of senders to accept", "recipient_filter", false},
        Kind{"550 User unknown (in reply to end of DATA command)", "recipient_filter", false}));

INSTANTIATE_TEST_SUITE_P(
    Senders, StatusKinds,
    testing::Values(
        Kind{"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "ip_blocked",
             false},
        Kind{"554 5.7.1 blocked using zen.spamhaus.org; Error: open resolver; https://check.spamhaus.org/returnc/pub/",
             "system", false},
        Kind{"550 5.7.1 part of their network is on our block list (S3150).", "ip_blocked", false},
        Kind{"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", "ip_blocked",
             false},
        Kind{"550 5.7.25 no PTR record for 192.0.2.1", "no_ptr", false},
        Kind{"550 5.7.26 the sender is unauthenticated, says gsmtp", "auth_failure", false},
        Kind{"550 the SPF check of a.example failed", "auth_failure", false},
        Kind{"553 5.1.8 Sender address rejected: domain not found", "sender_rejected", false},
        Kind{"554 5.7.1 <ann@a.example>: Relay access denied", "relay_denied", false},
        Kind{"450 4.2.0 Greylisted, come back in 5 minutes", "greylist", false},
        Kind{"421 too many connections from you", "rate_limited", false},
        Kind{"554 this looks like spam to us", "spam", false},
        Kind{"554 5.7.1 virus found in attachment: Eicar", "virus", false},
        Kind{"552 5.3.4 the message is too large", "too_big", false}, Kind{"530 5.7.0 TLS required", "tls", false},
        Kind{"503 bad sequence of commands", "protocol", false},
        Kind{"550 refused for policy reasons", "policy", false},
        Kind{"connect to mx.a.example[192.0.2.1]:25: Connection timed out", "expired", false},
        Kind{"connect to mx.a.example[192.0.2.1]:25: No route to host", "network", false},
        Kind{"451 4.3.0 internal error", "system", false},
        Kind{"556 5.1.10 the domain has a null MX", "domain_unknown", true}));

TEST(Statuses, AddressesDecideNothing) {
  const auto explained = book().explain(read_status("550 5.1.1 <spam-virus@quota-full.example>: user unknown"));
  EXPECT_EQ(explained.reason, Reason::user_unknown);
  EXPECT_EQ(masked("To <A.B@c.example>, ok"), "to <@@@@@@@@@@@@@>, ok");
  EXPECT_EQ(masked("4XQ0f52Yhqz9: 550 5.1.1 [192.0.2.7] 1712312345 OFR004 id=42"),
            "~~~~~~~~~~~~: 550 5.1.1 [000.0.0.0] 0000000000 ofr004 id=42");
}

TEST(Statuses, SeverityIsOfTheFirstDigit) {
  EXPECT_EQ(book().explain(read_status("550 4.2.2 x")).severity, Severity::permanent);
  EXPECT_EQ(book().explain(read_status("450 5.1.1 x")).severity, Severity::transient);
  EXPECT_EQ(book().explain(read_status("250 2.0.0 ok")).severity, Severity::success);
  EXPECT_EQ(book().explain(read_status("mailbox full, giving up")).severity, Severity::permanent);
}

TEST(Statuses, WhoeverAsksToComeBackHasNotBuriedTheAddress) {
  EXPECT_EQ(book().explain(read_status("450 4.1.1 user unknown")).dead, std::nullopt);
  EXPECT_EQ(book().explain(read_status("550 5.1.1 user unknown")).dead, true);
}

TEST(Statuses, ASenderWhoIsRefusedBuriesNoRecipient) {
  for (const char* text :
       {"550-Verification failed for <a@b.example> 550-The account or domain may not exist 550 Sender verify failed",
        "550 5.7.1 Your account has been disabled (in reply to MAIL FROM command)",
        "550 5.7.1 Your domain does not exist in our allow list", "550 5.7.1 mailbox disabled for external senders",
        "550 5.2.1 Mailbox is inactive because it is full"}) {
    EXPECT_NE(book().explain(read_status(text)).dead, std::optional(true)) << text;
  }
  EXPECT_EQ(book().explain(read_status("550 5.1.1 <bob@x.example>: User unknown")).dead, std::optional(true));
}

TEST(Statuses, WhatIsNoStatusIsNotKnown) {
  for (const char* text :
       {"Version: 5.1.1 released", "Order: 550 items were shipped", "Total; 552 units", "Price: 499 EUR"}) {
    EXPECT_FALSE(book().explain(read_status(text)).severity) << text;
  }
}

TEST(Statuses, ADelayIsTheNetworks) {
  const auto told = book().explain(
      read_status("(delivery temporarily suspended: connect to mx.d[192.0.2.1]:25: Connection refused)"));
  EXPECT_EQ(told.reason, Reason::network);
}

TEST(Statuses, WhenToComeBack) {
  EXPECT_EQ(book().explain(read_status("450 4.7.1 greylisted, try again in 5 minutes")).retry_after_s, 300);
  EXPECT_EQ(book().explain(read_status("450 4.7.1 please wait 60 seconds")).retry_after_s, 60);
  EXPECT_EQ(book().explain(read_status("550 5.7.1 wait 60 seconds")).retry_after_s, std::nullopt);
  EXPECT_EQ(delay_in("in 99999999999999999999 hours"), std::nullopt);
  EXPECT_EQ(delay_in("5 minutes ago in 2 h"), 7200);
}

TEST(Statuses, WhatTellsNothingIsNotKnown) {
  const auto nothing = book().explain(read_status("xyzzy"));
  EXPECT_FALSE(nothing.is_status);
  EXPECT_EQ(nothing.confidence, Confidence::none);
  const auto code_alone = book().explain(read_status("570 xyzzy plugh"));
  EXPECT_TRUE(code_alone.is_status);
  EXPECT_EQ(code_alone.dead, false);
}

TEST(Statuses, SaysWhatDecided) {
  const RemoteStatus status = read_status("552 5.2.2 <bob@x.example> Mailbox FULL today");
  const auto explained = book().explain(status);
  EXPECT_EQ(explained.matched, "Mailbox FULL");
  EXPECT_EQ(explained.confidence, Confidence::phrase);
}

// RE2 misses them where it looks for one expression, on octets.
TEST(Statuses, SaysWhatDecidedWhereTwoSpellingsBeginAlike) {
  for (const char* words : {"черном списке", "чёрном списке"}) {
    const RemoteStatus status = read_status(fmt::format("550 5.7.1 {}", words));
    const auto explained = book().explain(status);
    EXPECT_EQ(explained.reason, Reason::ip_blocked) << words;
    EXPECT_TRUE(explained.matched.ends_with("списк")) << words << explained.matched;
  }
}

TEST(Statuses, AnAdministratorsOwnFilesGoFirst) {
  auto files = built_in();
  files.insert(files.begin(),
               {"own.toml",
                "provider = \"Partner\"\nhosts = [\"partner.example\"]\nsource = \"https://partner.example/\"\n"
                "[[status]]\nreason = \"greylist\"\ncodes = [550]\n"});
  const auto own = StatusBook::create(load_statuses(files).value()).value();
  const auto status = read_status("host mx.partner.example[192.0.2.3] said: 550 user unknown");
  const auto explained = own->explain(status);
  EXPECT_EQ(explained.reason, Reason::greylist);
  EXPECT_EQ(explained.provider, "Partner");
}

// Whatever else the reply says: words of every kind stand around it.
TEST(Statuses, APageOfHelpThatGmailNamesDecides) {
  constexpr std::array<Kind, 8> kPages{{{"NotAuthorizedError", "ip_blocked", false},
                                        {"UnsolicitedIPError", "ip_blocked", false},
                                        {"UnsolicitedMessageError", "spam", false},
                                        {"DmarcRejection", "auth_failure", false},
                                        {"OverQuotaTemp", "mailbox_full", false},
                                        {"ReceivingRate", "rate_limited", false},
                                        {"MaxSizeError", "too_big", false},
                                        {"NoSuchUser", "user_unknown", true}}};
  for (const Kind& page : kPages) {
    const auto status = read_status(std::string("550-5.7.1 relaying denied, greylisted, mailbox full, virus, spam: use "
                                                "the SMTP relay of your provider. 550 5.7.1 "
                                                "https://support.google.com/mail/?p=") +
                                    page.text + " x7si12 - gsmtp");
    const auto explained = book().explain(status);
    EXPECT_EQ(info_of(explained.reason).slug, page.reason) << page.text << " by " << explained.matched;
    EXPECT_EQ(explained.confidence, Confidence::provider) << page.text;
    EXPECT_EQ(explained.dead.value_or(false), page.dead) << page.text;
  }
}

TEST(Statuses, TimeIsBounded) {
  std::string text = "550 ";
  for (int i = 0; i < 200000; ++i) text += "user@@ ";
  EXPECT_TRUE(book().explain(read_status(text)).is_status);
}

}  // namespace
}  // namespace replygate
