#include "milter/serve/raises.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/files.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::string file_in(const std::string& folder) { return folder + "/raises.json"; }

Raise raise_of(const json::object& object) {
  return {.key = json::value_to<std::string>(object.at("key")),
          .rule = json::value_to<std::string>(object.at("rule")),
          .percent = object.at("percent").to_number<std::int64_t>(),
          .until = Instant(Duration(object.at("until").to_number<std::int64_t>())),
          .reason = json::value_to<std::string>(object.at("reason"))};
}

}  // namespace

tl::expected<Raises, std::string> read_raises(const std::string& folder, Instant now) {
  const std::string file = file_in(folder);
  if (look_for(file) == Presence::absent) return Raises();
  std::string why;
  const auto text = read_file(file, why);
  if (!text) return tl::unexpected(fmt::format("{}: {}; no limit is raised", file, why));
  try {
    Raises raises;
    const json::value list = json::parse(*text);
    for (const json::value& item : list.as_array()) {
      Raise raise = raise_of(item.as_object());
      if (raise.until > now && raise.percent > 100) raises.push_back(std::move(raise));
    }
    return raises;
  } catch (const std::exception& error) {
    return tl::unexpected(
        fmt::format("{}: not understood: {}; no limit is raised until it is fixed or removed", file, error.what()));
  }
}

tl::expected<void, std::string> write_raises(const std::string& folder, const Raises& raises) {
  json::array list;
  for (const Raise& r : raises) {
    list.push_back(json::object{{"key", r.key},
                                {"rule", r.rule},
                                {"percent", r.percent},
                                {"until", r.until.time_since_epoch().count()},
                                {"reason", r.reason}});
  }
  return replace_file(file_in(folder), json::serialize(list) + "\n");
}

}  // namespace replygate
