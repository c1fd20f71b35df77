#include "milter/last_good.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "milter/files.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::string file_in(const std::string& folder) { return folder + "/last-good-policy.json"; }

// Octets that are no UTF-8 have no place in JSON; a policy with such is kept all the same, in hexadecimal digits.
std::string to_hex(std::string_view octets) {
  std::string text;
  text.reserve(octets.size() * 2);
  for (const char c : octets) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  const auto digit = [](char c) { return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1; };
  std::string octets;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    octets += static_cast<char>(high * 16 + low);
  }
  return octets;
}

// Replygate's own: as large as the lists were, twice over.
std::optional<PolicyTexts> read_texts(const std::string& folder, const std::string& path) {
  std::string why;
  const auto text = read_file(file_in(folder), why, std::numeric_limits<std::size_t>::max());
  if (!text && look_for(file_in(folder)) != Presence::absent) {
    say(fmt::format("{}: {}; the last good policy is not known", file_in(folder), why));
  }
  if (!text) return std::nullopt;
  boost::system::error_code error;
  const json::value root = json::parse(*text, error);
  const json::object* kept = error ? nullptr : root.if_object();
  const json::value* policy = kept == nullptr ? nullptr : kept->if_contains("policy");
  const json::value* sources = kept == nullptr ? nullptr : kept->if_contains("sources");
  if (policy == nullptr || !policy->is_string() || sources == nullptr || !sources->is_object()) {
    say(fmt::format("{}: damaged; the last good policy is not known", file_in(folder)));
    return std::nullopt;
  }
  if (policy->as_string() != path) return std::nullopt;  // another one's
  PolicyTexts texts;
  for (const auto& [name, value] : sources->as_object()) {
    auto octets = value.is_string() ? from_hex(value.as_string()) : std::nullopt;
    if (!octets) return std::nullopt;
    texts.emplace(name, *std::move(octets));
  }
  return texts;
}

// The value of `path` in [store], were the rest of the text wrong as can be; "" where there is none.
std::string store_path_in(std::string_view policy) {
  bool in_store = false;
  for (const std::string& given : lines_of(policy)) {
    const std::string_view line = trim(given);
    if (line.starts_with('[')) in_store = line.starts_with("[store]");
    if (!in_store || !line.starts_with("path")) continue;
    const std::string_view value = trim(trim(line.substr(4)).starts_with('=') ? trim(line.substr(4)).substr(1) : "");
    const std::size_t end = value.empty() ? std::string_view::npos : value.find(value.front(), 1);
    if (end != std::string_view::npos && (value.front() == '"' || value.front() == '\''))
      return std::string(value.substr(1, end - 1));
  }
  return "";
}

std::string folder_beside_file(const std::string& path, const std::string& otherwise) {
  const bool elsewhere = path.starts_with('/') && path != StoreSettings().path;
  return elsewhere ? std::filesystem::path(path).parent_path().string() : otherwise;
}

}  // namespace

std::string state_folder() {
  const char* folder = secure_getenv("STATE_DIRECTORY");
  return folder == nullptr ? "/var/lib/replygate" : folder;
}

std::string folder_beside(const StoreSettings& store, const std::string& otherwise) {
  return store.backend == StoreSettings::Backend::sqlite ? folder_beside_file(store.path, otherwise) : otherwise;
}

std::string folder_beside(std::string_view policy_in_error, const std::string& otherwise) {
  return folder_beside_file(store_path_in(policy_in_error), otherwise);
}

tl::expected<void, std::string> keep_last_good(const std::string& folder, const std::string& path,
                                               const PolicyTexts& texts) {
  if (look_for(folder) == Presence::absent) return {};
  json::object sources;
  for (const auto& [name, text] : texts) sources[name] = to_hex(text);
  const std::string whole = json::serialize(json::object{{"policy", path}, {"sources", std::move(sources)}});
  return replace_file(file_in(folder), whole);
}

std::optional<Loaded> load_last_good(const std::string& folder, const std::string& path) {
  const auto texts = read_texts(folder, path);
  if (!texts) return std::nullopt;
  Loaded loaded = load_policy(path, [&](const DataSource& source, std::string& why) -> std::optional<std::string> {
    const auto it = texts->find(source.text());
    if (it != texts->end()) return it->second;
    why = "was not kept with the last good policy";
    return std::nullopt;
  });
  if (!loaded.ok()) return std::nullopt;
  return loaded;
}

}  // namespace replygate
