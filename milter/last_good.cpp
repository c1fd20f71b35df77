#include "milter/last_good.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>

#include "milter/files.h"

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

std::optional<PolicyTexts> read_texts(const std::string& folder, const std::string& path) {
  std::string why;
  const auto text = read_file(file_in(folder), why);
  if (!text) return std::nullopt;
  json::error_code error;
  const json::value root = json::parse(*text, error);
  const json::object* kept = error ? nullptr : root.if_object();
  const json::value* policy = kept == nullptr ? nullptr : kept->if_contains("policy");
  const json::value* sources = kept == nullptr ? nullptr : kept->if_contains("sources");
  if (policy == nullptr || !policy->is_string() || policy->as_string() != path) return std::nullopt;
  if (sources == nullptr || !sources->is_object()) return std::nullopt;
  PolicyTexts texts;
  for (const auto& [name, value] : sources->as_object()) {
    auto octets = value.is_string() ? from_hex(value.as_string()) : std::nullopt;
    if (!octets) return std::nullopt;
    texts.emplace(name, *std::move(octets));
  }
  return texts;
}

}  // namespace

std::string state_folder() {
  const char* folder = secure_getenv("STATE_DIRECTORY");
  return folder == nullptr ? "/var/lib/replygate" : folder;
}

tl::expected<void, std::string> keep_last_good(const std::string& folder, const std::string& path,
                                               const PolicyTexts& texts) {
  if (!std::filesystem::is_directory(folder)) return {};
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
