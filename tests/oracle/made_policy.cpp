#include "tests/oracle/made_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace replygate::oracle {
namespace {

// What rules may ask of a fact.
struct Asking {
  std::string fact;
  std::vector<std::string> patterns;
};

const std::vector<Asking>& askings() {
  static const std::vector<Asking> all = {
      {"client_ip",
       {"\"127.0.0.0/8\"", "\"203.0.113.0/24\"", "[\"192.0.2.0/24\", \"203.0.113.7\"]", "\"0.0.0.0/0\"",
        "\"$trusted_networks\"", "\"$trusted_networks\"", "\"$trusted_networks\"", "\"::ffff:203.0.113.7\"",
        "[\"::/1\", \"8000::/1\"]"}},
      {"client_name", {"\"unknown\"", "\".partner.example\"", "\"*.example\"", "\"mx*\""}},
      {"client_port", {"\"> 1023\"", "40000"}},
      {"listener", {"\"smtp\"", "\"submission\""}},
      {"helo",
       {"\"client.invalid\"", "\"friend\"", "\".invalid\"", "[\"friend\", \"*.invalid\"]", "\"*\"", "\"/^f/\"",
        "\"/^fr[h-j]e.d$/\""}},
      {"tls", {"true", "false"}},
      {"tls_version",
       {"\"TLSv1.3\"", "\"TLSv1.*\"", "\"\"", "[\"TLSv1.2\", \"TLSv1.3\"]", "\"< TLSv1.2\"", "\"!= TLSv1.3\""}},
      {"tls_subject", {"\"\"", "\"CN=a\""}},
      {"tls_bits", {"\">= 200\"", "0"}},
      {"sender",
       {"\"a@b.net\"", "\"@b.net\"", "\"a@\"", "\"\"", "\".com\"", "\"*@*\"", "\"someone@stranger.invalid\"",
        "\"/^a@b.n[a-f]t$/\""}},
      {"sender_domain", {"\".invalid\"", "\"b.net\"", "[\".com\", \".net\"]", "\"stranger.invalid\""}},
      {"sender_local", {"\"someone\"", "\"a\""}},
      {"null_sender", {"true", "false"}},
      {"authenticated", {"true", "true", "false"}},
      {"user", {"\"bob\"", "\"\"", "\"*\""}},
      {"auth_mechanism", {"\"PLAIN\"", "\"\""}},
      {"sender_login_mismatch", {"true", "false"}},
      {"declared_size", {"\"> 1 MB\"", "\"<= 1 MB\""}},
      {"smtputf8", {"true", "false"}},
      {"messages", {"1", "\"> 1\"", "\"<= 2\""}},
      {"refusals", {"0", "\"> 0\"", "\"> 1\""}},
      {"recipient_domain",
       {"[\".invalid\", \".test\"]", "\"elsewhere.example\"", "[\".invalid\", \".example\", \".com\"]",
        "\"$local_domains\"", "[\"$local_domains\", \"$relay_domains\"]", "[\"$local_domains\", \"$relay_domains\"]",
        "[\"$local_domains\", \"\"]", "\"*.example\""}},
      {"recipient",
       {"\"\"", "\"*\"", "\"u@example.org\"", "\"victim@\"", "\"@elsewhere.com\"", "\"someone@stranger.invalid\""}},
      {"recipient_local", {"\"\"", "\"victim\"", "[\"u\", \"someone\"]"}},
      {"external", {"true", "true", "false"}},
      {"recipients", {"1", "2", "\"<= 2\"", "\"> 2\"", "\"> 1\""}},
      {"recipient_route", {"\"smtp\"", "[\"local\", \"virtual\", \"relay\"]", "\"local\""}},
      {"mta_refused", {"true", "false"}},
      {"time", {"\"22:00-06:00\"", "\"06:00-22:00\""}},
      {"weekday", {"\"mon\"", "\"tue-sun\""}},
      {"session_age", {"\"> 1h\"", "\"<= 1h\""}},
      {"header.Subject", {"\"win\"", "\"w*\"", "\"\""}},
      {"header_count", {"\"> 3\"", "\"<= 3\""}},
      {"size", {"\"> 5 kB\"", "\"<= 5 kB\""}},
      {"queue_id", {"\"4abc\""}},
  };
  return all;
}

const std::string& one_of(const std::vector<std::string>& words, Random& random) {
  return words[random() % words.size()];
}

class Maker {
 public:
  explicit Maker(Random& random) : random_(random) {
    // A few facts for all rules: what one of them says, another then denies or repeats.
    for (int i = 0; i < 3; ++i) pool_.push_back(&askings()[random_() % askings().size()]);
    for (const std::string_view usual : {"client_ip", "authenticated", "recipient_domain", "external"}) {
      pool_.push_back(&*std::ranges::find(askings(), usual, &Asking::fact));
    }
  }

  MadePolicy run() {
    made_.domains = random_() % 8 != 0;
    std::string& text = made_.text;
    text = "version = 1\n[store]\nbackend = \"memory\"\n[site]\ntrusted_networks = [\"127.0.0.0/8\"]\n";
    if (made_.domains) text += "local_domains = [\"example.org\"]\nrelay_domains = [\"relay.example\"]\n";
    const bool carries = one_in(8);
    const bool usual = !carries && one_in(2);
    const std::size_t rules = carries ? random_() % 2 : 1 + random_() % 4;
    const std::size_t place = random_() % (rules + 1);
    for (std::size_t i = 0; i <= rules; ++i) {
      if (usual && i == place) deny_relaying();
      if (i < rules) rule(i);
    }
    if (carries) carry_on();
    return std::move(made_);
  }

 private:
  bool one_in(std::size_t n) { return random_() % n == 0; }

  // The rule that everybody has, with or without a mistake.
  void deny_relaying() {
    std::string when;
    std::string unless;
    const Asking& a = *pool_[random_() % 3];
    const bool same = a.fact == "authenticated" || a.fact == "client_ip" || a.fact == "recipient_domain" ||
                      a.fact == "recipient_route";
    if (one_in(2) && !same) {
      (one_in(2) ? when : unless) = fmt::format("{} = {}, ", named(a), one_of(a.patterns, random_));
    }
    made_.text += fmt::format(
        "[[rule]]\nname = \"no-open-relay\"\nwhen = {{ {} }}\nunless = {{ {}{}, client_ip = "
        "\"$trusted_networks\", authenticated = true }}\nreply = 571\n",
        when.substr(0, when.rfind(',')), unless,
        made_.domains ? "recipient_domain = [\"$local_domains\", \"$relay_domains\"]"
                      : "recipient_route = [\"local\", \"virtual\", \"relay\"]");
    if (!made_.domains) made_.facts.insert("recipient_route");
  }

  // What one recipient, message or hour refuses, and another lets through for all.
  void carry_on() {
    static const std::vector<std::string> carried = {"recipients", "recipients", "refusals", "messages", "session_age"};
    const Asking& a = *std::ranges::find(askings(), one_of(carried, random_), &Asking::fact);
    made_.text += fmt::format("[[rule]]\nname = \"first\"\nwhen = {{ external = true, {} = {} }}\nreply = 550\n",
                              named(a), one_of(a.patterns, random_));
    made_.text += fmt::format("[[rule]]\nname = \"then\"\nwhen = {{ {} = {} }}\nat = \"rcpt\"\naccept = true\n", a.fact,
                              one_of(a.patterns, random_));
    if (one_in(2)) deny_relaying();
  }

  const std::string& named(const Asking& a) {
    made_.facts.insert(a.fact);
    return a.fact;
  }

  std::string conditions(std::size_t most) {
    std::string text;
    std::set<std::string> used;
    for (std::size_t i = random_() % (most + 1); i > 0; --i) {
      const Asking& a = *pool_[random_() % pool_.size()];
      if (!used.insert(a.fact).second) continue;
      text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", named(a), one_of(a.patterns, random_));
    }
    return text;
  }

  void rule(std::size_t index) {
    std::string& text = made_.text;
    text += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ {} }}\n", index, conditions(3));
    if (one_in(2)) text += fmt::format("unless = {{ {} }}\n", conditions(2));
    if (one_in(8)) {
      static const std::vector<std::string> stages = {"mail", "rcpt", "data", "header", "message"};
      text += fmt::format("at = \"{}\"\n", one_of(stages, random_));
    }
    if (one_in(10)) text += "mode = \"observe\"\n";
    if (one_in(6)) text += "on_unknown = \"skip\"\n";
    outcome();
  }

  void outcome() {
    std::string& text = made_.text;
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2: text += "accept = true\n"; return;
      case 3:
        text += "hold = \"look\"\n";
        if (one_in(4)) text += "limit = \"2 messages / 1h\"\n";
        return;
      case 4: text += one_in(2) ? "discard = true\n" : "header = { X-Seen = \"yes\" }\n"; return;
      case 5:
        if (one_in(4)) {
          text += "reply = 451\nper = \"client_ip\"\n";
          text += "greylist = { delay = \"5m\", retry_within = \"1d\", remember = \"36d\" }\n";
          return;
        }
        text += "reply = 550\nper = \"client_ip\"\n";
        text += one_in(2) ? "limit = \"1 recipients / 1h\"\n" : "share = \"50%\"\n";
        return;
      case 6: text += "reply = 421\n"; return;
      default: text += "reply = 550\n"; return;
    }
  }

  Random& random_;
  std::vector<const Asking*> pool_;
  MadePolicy made_;
};

// Talks that differ in all ways that the policy names.
class Universe {
 public:
  Universe(const MadePolicy& made, std::size_t most, Random& random) : made_(made), most_(most), random_(random) {}

  std::vector<Talk> run() {
    dimensions();
    std::size_t all = 1;
    for (const auto& dimension : dimensions_) all *= dimension.size();
    const bool each = all <= most_;
    for (std::size_t i = 0; i < std::min(all, most_); ++i) {
      std::size_t number = each ? i : random_() % all;
      Talk talk;
      talk.begin = Instant(std::chrono::hours(490008));
      talk.messages.emplace_back().sender = "someone@stranger.invalid";
      talk.messages[0].route = "smtp";
      talk.messages[0].helo = "client.invalid";
      talk.messages[0].recipients = {"victim@elsewhere.example"};
      for (const auto& dimension : dimensions_) {
        dimension[number % dimension.size()](talk);
        number /= dimension.size();
      }
      result_.push_back(std::move(talk));
    }
    return std::move(result_);
  }

 private:
  using Change = std::function<void(Talk&)>;

  bool names(std::string_view fact) const { return made_.facts.contains(std::string(fact)); }
  bool names_some(std::initializer_list<std::string_view> facts) const {
    return std::ranges::any_of(facts, [this](std::string_view f) { return names(f); });
  }
  void vary(std::initializer_list<std::string_view> facts, std::vector<Change> changes) {
    if (names_some(facts)) dimensions_.push_back(std::move(changes));
  }
  template <typename Value, typename Set>
  static std::vector<Change> each(std::vector<Value> values, Set set) {
    std::vector<Change> changes;
    for (const Value& value : values) changes.push_back([=](Talk& talk) { set(talk, value); });
    return changes;
  }

  void dimensions() {
    ways();
    recipients();
    using std::string;
    dimensions_.push_back(each<string>(
        names("client_ip") ? std::vector<string>{"203.0.113.7", "127.0.0.1", "192.0.2.5", "2001:db8::7", ""}
                           : std::vector<string>{"203.0.113.7", "127.0.0.1"},
        [](Talk& t, const string& v) { t.client = v; }));
    vary({"client_name"},
         each<string>({"unknown", "mx.partner.example", "some.example"}, [](Talk& t, const string& v) { t.name = v; }));
    vary({"client_port"}, each<int>({40000, 25, 2000}, [](Talk& t, int v) { t.port = v; }));
    vary({"listener"}, each<string>({"smtp", "submission"}, [](Talk& t, const string& v) { t.listener = v; }));
    dimensions_.push_back(
        each<string>({"client.invalid", "friend", ""}, [](Talk& t, const string& v) { t.messages[0].helo = v; }));
    if (!names_some({"helo"})) dimensions_.back().erase(dimensions_.back().begin() + 1);
    vary({"tls", "tls_version", "tls_subject", "tls_bits"},
         each<Tls>({{}, {"TLSv1.3", "X", 256, "", ""}, {"TLSv1.2", "X", 128, "CN=a", "CN=ca"}},
                   [](Talk& t, const Tls& v) { t.messages[0].tls = v; }));
    vary({"sender", "sender_domain", "sender_local", "null_sender", "sender_login_mismatch"},
         each<string>({"someone@stranger.invalid", "", "a@b.net", "x@y.com"},
                      [](Talk& t, const string& v) { t.messages[0].sender = v; }));
    vary({"authenticated", "user", "auth_mechanism", "sender_login_mismatch", "tls"},
         each<string>({"", "bob"}, [](Talk& t, const string& v) { t.messages[0].user = v; }));
    message();
  }

  void message() {
    vary({"declared_size"}, {[](Talk&) {}, [](Talk& t) { t.messages[0].parameters.emplace_back("SIZE=5000000"); }});
    vary({"smtputf8"}, {[](Talk&) {}, [](Talk& t) { t.messages[0].parameters.emplace_back("SMTPUTF8"); }});
    vary({"recipient_route"}, each<std::optional<std::string>>(
                                  {"smtp", "local", "slow", std::nullopt},
                                  [](Talk& t, const std::optional<std::string>& v) { t.messages[0].route = v; }));
    vary({"mta_refused"}, {[](Talk&) {}, [](Talk& t) { t.messages[0].mta_refuses_first = true; }});
    vary({"time", "weekday"},
         each<int>({0, 14, 24 * 3}, [](Talk& t, int hours) { t.begin += std::chrono::hours(hours); }));
    vary({"time", "session_age", "weekday"},
         {[](Talk&) {}, [](Talk& t) { t.messages[0].waits[0] = 12 * 3600; },
          [](Talk& t) { t.messages[0].waits[2] = 12 * 3600; }, [](Talk& t) { t.messages[0].waits[5] = 12 * 3600; }});
    vary({"header.Subject"}, {[](Talk&) {}, [](Talk& t) { t.messages[0].headers = {{"subject", "win"}}; },
                              [](Talk& t) { t.messages[0].headers = {{"subject", "other"}}; }});
    vary({"header_count"}, each<int>({1, 5}, [](Talk& t, int v) { t.messages[0].fields = v; }));
    vary({"size"}, each<int>({1000, 9000}, [](Talk& t, int v) { t.messages[0].size = v; }));
    vary({"queue_id"}, {[](Talk&) {}, [](Talk& t) { t.messages[0].queue_id = "5f"; }});
  }

  void recipients() {
    using List = std::vector<std::string>;
    const std::string local = "u@example.org";
    std::vector<List> lists = {{"victim@elsewhere.example"},
                               {"victim@elsewhere.com"},
                               {"someone@stranger.invalid"},
                               {"\"\"@elsewhere.com"},
                               {local},
                               {"x@relay.example"}};
    const bool several =
        names_some({"recipients", "refusals"}) || made_.text.find("at = \"rcpt\"") != std::string::npos;
    if (several) {
      const std::string foreign = "victim@elsewhere.example";
      for (List list : {List{local, foreign},
                        {local, local, foreign},
                        {foreign, foreign},
                        {foreign, foreign, foreign},
                        {foreign, local},
                        {foreign, "victim@elsewhere.com"},
                        {local, "someone@stranger.invalid"}}) {
        lists.push_back(std::move(list));
      }
    }
    dimensions_.push_back(each<List>(lists, [](Talk& t, const List& v) { t.messages[0].recipients = v; }));
  }

  // What goes before, and how it comes in. Set last, since it doubles what the others have set.
  void ways() {
    before_.push_back([](Talk&) {});
    if (names_some({"messages", "refusals", "helo", "tls", "tls_version", "tls_subject", "authenticated", "user"})) {
      before_.push_back([](Talk& t) {  // another message, then STARTTLS and AUTH as the second says
        Said first = t.messages[0];
        first.tls = {};
        first.user = "";
        first.ends = false;
        t.messages.insert(t.messages.begin(), first);
        t.messages[1].waits = {};
      });
      before_.push_back([](Talk& t) {  // a local one that is sent, and no new greeting
        Said first = t.messages[0];
        first.user = "bob";
        first.recipients = {"u@example.org"};
        t.messages.insert(t.messages.begin(), first);
        t.messages[1].helo = "";
        t.messages[1].waits = {};
      });
    }
    before_.push_back([](Talk& t) { t.local_submission = true; });
    before_.push_back([](Talk& t) { t.delegated = true; });
  }

 public:
  // Every talk in every way.
  std::vector<Talk> in_all_ways() {
    std::vector<Talk> all;
    for (const Talk& talk : run()) {
      for (const Change& way : before_) {
        Talk changed = talk;
        way(changed);
        all.push_back(std::move(changed));
      }
    }
    return all;
  }

 private:
  const MadePolicy& made_;
  std::size_t most_;
  Random& random_;
  std::vector<std::vector<Change>> dimensions_;
  std::vector<Change> before_;
  std::vector<Talk> result_;
};

}  // namespace

MadePolicy make_policy(Random& random) { return Maker(random).run(); }

std::vector<Talk> talks_for(const MadePolicy& made, std::size_t most, Random& random) {
  return Universe(made, most, random).in_all_ways();
}

}  // namespace replygate::oracle
