#include "milter/bounce/status_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "milter/bounce/built_in_statuses.h"
#include "milter/files.h"

namespace replygate {
namespace {

std::vector<std::string> toml_files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error);
  while (!error && it != std::filesystem::directory_iterator()) {
    if (it->path().extension() == ".toml") names.push_back(it->path().filename().string());
    it.increment(error);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

std::vector<StatusFile> status_files(const std::string& folder, std::string& error) {
  std::vector<StatusFile> own;
  for (const std::string& name : toml_files_in(folder)) {
    auto text = read_file(folder + "/" + name, error);
    if (!text) {
      error = folder + "/" + name + ": " + error;
      return {};
    }
    own.push_back({name, *std::move(text)});
  }
  for (const auto& [name, text] : kBuiltInStatuses) {
    if (std::ranges::find(own, name, &StatusFile::name) == own.end())
      own.push_back({std::string(name), std::string(text), true});
  }
  return own;
}

std::string why_unread(const std::string& folder) {
  std::error_code error;
  if (folder != kStatusFolder) std::filesystem::directory_iterator(folder, error);
  return error ? fmt::format("{}: {}", folder, error.message()) : "";
}

tl::expected<std::unique_ptr<StatusBook>, std::string> open_status_book(const std::string& folder) {
  std::string error;
  const auto files = status_files(folder, error);
  auto knowledge = error.empty() ? load_statuses(files) : tl::unexpected(error);
  return knowledge ? StatusBook::create(*std::move(knowledge)) : tl::unexpected(knowledge.error());
}

}  // namespace replygate
