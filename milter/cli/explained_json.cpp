#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <iterator>
#include <utility>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/explained.h"
#include "milter/serve/report_status.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

namespace json = boost::json;

// What strangers wrote may be no UTF-8; JSON is.
json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(json_text(text));
}

template <typename T>
json::value value_or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

Bounce bounce_for(std::optional<Severity> severity) {
  if (severity == Severity::permanent) return Bounce::hard;
  return severity == Severity::transient ? Bounce::soft : Bounce::none;
}

// Of the one line that is written without a tree.
class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) { out_ += '{'; }

  void text_or_null(std::string_view key, std::string_view text) {
    name(key);
    if (text.empty()) {
      out_ += "null";
    } else {
      detail::append_json_text(out_, text);
    }
  }

  void number_or_null(std::string_view key, std::optional<std::int64_t> number) {
    name(key);
    if (number) {
      fmt::format_to(std::back_inserter(out_), "{}", *number);
    } else {
      out_ += "null";
    }
  }

  void flag_or_null(std::string_view key, std::optional<bool> flag) {
    name(key);
    out_ += !flag ? "null" : *flag ? "true" : "false";
  }

  // Advice is of the data, and UTF-8 as it stands.
  void advice(const RemoteStatus& status, const Explained& explained) {
    name("do");
    char sign = '[';
    for (const std::string_view line : explained.advice) {
      out_ += std::exchange(sign, ',');
      const bool plain = line.find("REF`") == std::string_view::npos && detail::stands_as_it_is(line);
      plain ? detail::append_json_text(out_, line) : detail::append_quoted(out_, advice_line(line, status));
    }
    out_ += explained.advice.empty() ? "[]}\n" : "]}\n";
  }

 private:
  void name(std::string_view key) {
    out_ += out_.back() == '{' ? "\"" : ",\"";
    out_ += key;
    out_ += "\":";
  }

  std::string& out_;
};

}  // namespace

void append_json_line(std::string& out, const RemoteStatus& status, const Explained& explained) {
  const bool found = explained.confidence != Confidence::none;
  const ReasonInfo& info = info_of(explained.reason);
  JsonLine line(out);
  line.text_or_null("recipient", status.recipient);
  line.text_or_null("host", status.host);
  line.number_or_null("code", status.code);
  line.text_or_null("enhanced", status.enhanced ? status.enhanced->text() : "");
  line.text_or_null("text", status.text);
  line.text_or_null("severity", explained.severity ? to_string(*explained.severity) : "");
  line.text_or_null("bounce", to_string(bounce_for(explained.severity)));
  line.flag_or_null("retry", explained.retry);
  line.number_or_null("retry_after_s", explained.retry_after_s);
  line.flag_or_null("dead", explained.dead);
  line.text_or_null("fault", to_string(explained.fault));
  line.text_or_null("reason", found ? info.slug : "");
  line.text_or_null("confidence", to_string(explained.confidence));
  line.text_or_null("matched", explained.matched);
  line.text_or_null("provider", explained.provider);
  line.text_or_null("classification", found ? info.classification : "");
  line.text_or_null("source", explained.source);
  line.advice(status, explained);
}

json::object json_of(const RemoteStatus& status, const Explained& explained) {
  const bool found = explained.confidence != Confidence::none;
  json::array advice;
  for (const std::string_view line : explained.advice) advice.emplace_back(advice_line(line, status));
  return {{"recipient", text_or_null(status.recipient)},
          {"host", text_or_null(status.host)},
          {"code", value_or_null(status.code)},
          {"enhanced", status.enhanced ? json::value(status.enhanced->text()) : json::value(nullptr)},
          {"text", text_or_null(status.text)},
          {"severity", explained.severity ? json::value(to_string(*explained.severity)) : json::value(nullptr)},
          {"bounce", to_string(bounce_for(explained.severity))},
          {"retry", value_or_null(explained.retry)},
          {"retry_after_s", value_or_null(explained.retry_after_s)},
          {"dead", value_or_null(explained.dead)},
          {"fault", to_string(explained.fault)},
          {"reason", found ? json::value(info_of(explained.reason).slug) : json::value(nullptr)},
          {"confidence", to_string(explained.confidence)},
          {"matched", text_or_null(explained.matched)},
          {"provider", text_or_null(explained.provider)},
          {"classification", text_or_null(found ? info_of(explained.reason).classification : "")},
          {"source", text_or_null(explained.source)},
          {"do", std::move(advice)}};
}

void add_catalogue(json::object& fields, const RemoteStatus& status) {
  fields["contradiction"] = status.code && status.enhanced && status.enhanced->severity != *status.code / 100;
  const ReplyCode* code = status.code ? find_reply_code(*status.code) : nullptr;
  if (code != nullptr) fields["code_explained"] = json_of(*code);
  if (status.enhanced) fields["enhanced_explained"] = json_of(*status.enhanced);
}

}  // namespace replygate
