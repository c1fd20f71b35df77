#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "milter/import/ucl.h"
#include "milter/import/writer.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::rspamd {
namespace {

// What decides nothing about rates, or has a value that is ours, too.
constexpr std::string_view kHousekeeping[] = {
    "enabled",    "symbol",    "info_symbol",       "prefilter", "servers", "redis",        "expire",
    "key_prefix", "max_delay", "whitelisted_rcpts", "max_rcpt",  "message", "read_servers", "write_servers",
    "password",   "db"};

struct Bucket {
  std::int64_t burst = 0;
  std::int64_t most = 0;
  std::int64_t seconds = 0;
};

std::optional<std::int64_t> seconds_of(std::string_view text) {
  std::int64_t count = 0;
  std::size_t at = 0;
  for (; at < text.size() && is_digit(text[at]) && count < 1'000'000; ++at) count = count * 10 + (text[at] - '0');
  if (at == 0) count = 1;
  const std::string_view unit = trim(text.substr(at));
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"", 1},     {"s", 1},       {"sec", 1},      {"m", 60},    {"min", 60},   {"mins", 60},
      {"h", 3600}, {"hour", 3600}, {"hours", 3600}, {"d", 86400}, {"day", 86400}};
  const auto known = std::ranges::find_if(kUnits, [&](const auto& u) { return equal_ignoring_case(u.first, unit); });
  if (known == std::end(kUnits) || count == 0) return std::nullopt;
  return count * known->second;
}

// "10 / 1min"; without burst it is as much at once.
std::optional<Bucket> rate_of(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto most = parse_count(trim(text.substr(0, slash)));
  const auto seconds = seconds_of(trim(text.substr(slash + 1)));
  if (!most || *most <= 0 || !seconds) return std::nullopt;
  return Bucket{*most, *most, *seconds};
}

std::optional<Bucket> bucket_of(const ucl::Value& value) {
  if (value.kind == ucl::Value::Kind::text) return rate_of(value.text);
  if (value.kind != ucl::Value::Kind::object) return std::nullopt;
  const ucl::Value* rate = value.find("rate");
  auto bucket = rate != nullptr ? rate_of(rate->text) : std::nullopt;
  const ucl::Value* burst = value.find("burst");
  if (!bucket || burst == nullptr) return bucket;
  const auto depth = parse_count(burst->text);
  if (!depth || *depth <= 0) return std::nullopt;
  bucket->burst = *depth;
  return bucket;
}

class Rates {
 public:
  Rates(const ucl::Value& root, const ImportSource& source)
      : root_(root.find("ratelimit") != nullptr ? *root.find("ratelimit") : root),
        writer_("ratelimit.conf of rspamd", source) {}

  Imported import() {
    const ucl::Value* enabled = root_.find("enabled");
    if (enabled != nullptr && (enabled->text == "false" || enabled->text == "no")) {
      writer_.remark("the module is off: enabled = false");
      return writer_.finish();
    }
    writer_.remark("rspamd changes its rates a little by what the mail is like; these stay.");
    for (const auto& [key, value] : root_.members) read(key, value);
    const ucl::Value* rates = root_.find("rates");
    if (rates == nullptr) return writer_.finish();
    for (const auto& [name, rate] : rates->members) write(name, rate);
    return writer_.finish();
  }

 private:
  void read(const std::string& key, const ucl::Value& value) {
    if (key == "rates" || std::ranges::find(kHousekeeping, key) != std::end(kHousekeeping)) return;
    if (key == "whitelisted_ip") return exempt(key, value, "client_ip");
    if (key == "whitelisted_user") return exempt(key, value, "user");
    writer_.lose("", key, "replygate has no such setting");
  }

  // What is exempt is so from all rates: without it none of them would be what it was.
  void exempt(const std::string& key, const ucl::Value& value, std::string_view fact) {
    std::vector<std::string> all;
    for (const std::string& item : value.texts()) {
      for (const std::string_view one : split(item, ',')) {
        const bool good =
            fact == "user" ? one.find_first_of("/*?$:") == std::string_view::npos : IpNetwork::parse(one).has_value();
        if (!good) {
          writer_.lose("", fmt::format("{} = {}", key, item), "a map is looked up elsewhere; write its entries here");
          hangs_on_ = key;
          return;
        }
        all.emplace_back(one);
      }
    }
    if (!all.empty()) exempt_.emplace_back(fact, all);
  }

  void write(const std::string& name, const ucl::Value& rate) {
    if (!hangs_on_.empty()) return writer_.lose("", name, fmt::format("hangs on {}", hangs_on_));
    if (rate.find("selector") != nullptr) return writer_.lose("", name, "replygate has no selectors");
    const ucl::Value* bucket =
        rate.kind == ucl::Value::Kind::object && rate.find("bucket") != nullptr ? rate.find("bucket") : &rate;
    std::vector<const ucl::Value*> all = {bucket};
    if (bucket->kind == ucl::Value::Kind::array &&
        std::ranges::all_of(bucket->items, [](const ucl::Value& v) { return v.kind == ucl::Value::Kind::object; })) {
      all.clear();
      for (const ucl::Value& one : bucket->items) all.push_back(&one);
    }
    for (const ucl::Value* one : all) {
      const auto parsed = bucket_of(*one);
      const std::string why = parsed ? write_bucket(name, *parsed) : "its rate is not understood; write \"10 / 1min\"";
      if (!why.empty()) writer_.lose("", name, why);
    }
  }

  // "ip_from": what is counted, in parts.
  std::string write_bucket(const std::string& name, const Bucket& bucket) {
    RuleText rule;
    std::vector<std::string> per;
    bool sender = false;
    for (const std::string_view part : split(name, '_')) {
      if (part == "ip") {
        per.emplace_back("client_ip");
      } else if (part == "from") {
        per.emplace_back("sender");
        sender = true;
      } else if (part == "user") {
        rule.when("authenticated", "true");
        per.emplace_back("user");
      } else if (part == "bounce") {
        rule.when("null_sender", "true");
      } else if (part == "to") {
        return "it counts by the first recipient of a message, which replygate does not tell from others";
      } else {
        return fmt::format("replygate does not count by \"{}\"", part);
      }
    }
    for (const auto& [fact, patterns] : exempt_) rule.unless(fact, patterns);
    RuleText null = rule;
    finish(rule, name, bucket, per);
    std::vector<RuleText> all = {rule};
    if (sender) {
      std::erase(per, "sender");
      null.when("null_sender", "true");
      finish(null, name, bucket, per);
      all.push_back(null);
    }
    return writer_.rules(name, all);
  }

  static void finish(RuleText& rule, const std::string& name, const Bucket& bucket,
                     const std::vector<std::string>& per) {
    if (!per.empty()) rule.add("per", toml_list(per));
    rule.add("limit", toml_string(fmt::format("{} messages / {}", bucket.most,
                                              format_duration(std::chrono::seconds(bucket.seconds)))));
    rule.add("burst", fmt::format("{}", bucket.burst));
    rule.add("at", "\"message\"");
    rule.add("reply", fmt::format("{{ code = 451, enhanced = \"4.7.1\", text = {} }}",
                                  toml_string(template_text(fmt::format("Ratelimit \"{}\" exceeded", name)))));
  }

  const ucl::Value& root_;
  std::vector<std::pair<std::string, std::vector<std::string>>> exempt_;
  std::string hangs_on_;
  Writer writer_;
};

}  // namespace
}  // namespace import::rspamd

Imported import_rspamd(std::string_view text, const ImportSource& source) {
  const std::string content = import::cleaned(text);
  std::string why;
  const auto root = import::ucl::parse(content, why);
  if (!root) return {.policy = "", .lost = {why}};
  return import::rspamd::Rates(*root, source).import();
}

}  // namespace replygate
