#include "milter/lookup/list_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "milter/files.h"
#include "policy/scenario/test_report.h"
#include "policy/scenario/test_run.h"

namespace replygate {
namespace {

constexpr std::string_view kUnread = "unread";

std::string stamp_of(const DataSource& source) {
  const std::string stamp = stamp_of_file(source.path);
  return source.kind == DataSource::Kind::sqlite ? stamp + ' ' + stamp_of_file(source.path + "-wal") : stamp;
}

}  // namespace

// Stamps are taken before what they stand for is read: what changes meanwhile is read again.
Loaded ListWatch::load() {
  std::map<std::string, std::string> stamps;
  Loaded loaded = load_policy(path_, [&](const DataSource& source, std::string& why) {
    stamps.try_emplace(source.text(), stamp_of(source));
    auto text = read_source(source, why);
    if (text) texts_[source.text()] = *text;
    return text;
  });
  if (loaded.ok()) id_ = loaded.policy->id();
  for (const DataSource& source : loaded.watched) {
    const auto stamp = stamps.find(source.text());
    watched_.push_back({source, stamp == stamps.end() ? stamp_of(source) : stamp->second, ""});
  }
  return loaded;
}

std::optional<std::string> ListWatch::read(const DataSource& source, std::string& why) {
  const auto watched = std::ranges::find(watched_, source, &Watched::source);
  const auto known = texts_.find(source.text());
  if (watched != watched_.end()) {
    auto text = read_source(source, why);
    watched->trouble = text ? "" : why;
    if (text) return text;
    if (look_for(source.path) != Presence::absent) watched->stamp = kUnread;  // read once that can be done
  }
  return known == texts_.end() ? std::nullopt : std::optional(known->second);
}

std::shared_ptr<const Policy> ListWatch::look() {
  std::vector<std::string> stamps;
  for (const Watched& watched : watched_) {
    std::string why;
    const bool unread = watched.stamp == kUnread && !read_source(watched.source, why);
    stamps.push_back(unread ? watched.stamp : stamp_of(watched.source));
  }
  if (std::ranges::equal(stamps, watched_, {}, {}, &Watched::stamp)) return nullptr;
  const std::vector<Watched> before = watched_;
  for (std::size_t i = 0; i < stamps.size(); ++i) watched_[i].stamp = std::move(stamps[i]);
  try {
    return compile();
  } catch (...) {
    watched_ = before;  // it is looked at again
    throw;
  }
}

std::vector<std::string> ListWatch::troubles() const {
  std::vector<std::string> all{wrong_};
  for (const Watched& watched : watched_) {
    if (watched.trouble.empty()) continue;
    all.push_back(fmt::format("{}: {}; its last content is kept", watched.source.path, watched.trouble));
  }
  return all;
}

std::shared_ptr<const Policy> ListWatch::compile() {
  std::map<std::string, std::string> texts;
  const Loaded loaded = load_policy(path_, [&](const DataSource& source, std::string& why) {
    auto text = read(source, why);
    if (text) texts[source.text()] = *text;
    return text;
  });
  if (!loaded.ok()) {
    for (const Diagnostic& d : loaded.diagnostics) std::fputs(render(d, loaded.sources).c_str(), stderr);
    wrong_ =
        fmt::format("a changed list makes the policy wrong, and the lists stay as they were: {}", first_error(loaded));
    return nullptr;
  }
  if (const TestReport tests = run_tests(loaded.policy, loaded.tests); !tests.passed()) {
    wrong_ = fmt::format("a changed list makes a test of the policy fail, and the lists stay as they were: {}",
                         first_failure(tests));
    return nullptr;
  }
  wrong_.clear();
  texts_ = std::move(texts);
  return std::exchange(id_, loaded.policy->id()) == loaded.policy->id() ? nullptr : loaded.policy;
}

}  // namespace replygate
