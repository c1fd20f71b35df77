#include "milter/lookup/list_watch.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "milter/files.h"
#include "milter/log/say.h"
#include "policy/scenario/test_run.h"

namespace replygate {
namespace {

std::string stamp_of_file(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return "absent";
  return fmt::format("{}:{}:{}:{}.{}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

}  // namespace

std::string ListWatch::stamp_of(const DataSource& source) {
  const std::string stamp = stamp_of_file(source.path);
  return source.kind == DataSource::Kind::sqlite ? stamp + ' ' + stamp_of_file(source.path + "-wal") : stamp;
}

Loaded ListWatch::load() {
  Loaded loaded = load_policy(path_, [this](const DataSource& source, std::string& why) {
    auto text = read_source(source, why);
    if (text) texts_[source.text()] = *text;
    return text;
  });
  if (loaded.ok()) id_ = loaded.policy->id();
  for (const DataSource& source : loaded.watched) watched_.push_back({source, stamp_of(source)});
  return loaded;
}

std::optional<std::string> ListWatch::read(const DataSource& source, std::string& why) {
  const auto same = [&](const Watched& w) { return w.source == source; };
  const auto known = texts_.find(source.text());
  if (std::ranges::any_of(watched_, same)) {
    if (auto text = read_source(source, why)) return text;
    if (known != texts_.end()) say(fmt::format("{}: {}; its last content is kept", source.path, why));
  }
  return known == texts_.end() ? std::nullopt : std::optional(known->second);
}

std::shared_ptr<const Policy> ListWatch::look() {
  bool changed = false;
  for (Watched& watched : watched_) {
    std::string stamp = stamp_of(watched.source);
    changed |= stamp != watched.stamp;
    watched.stamp = std::move(stamp);
  }
  if (!changed) return nullptr;
  std::map<std::string, std::string> texts;
  const Loaded loaded = load_policy(path_, [&](const DataSource& source, std::string& why) {
    auto text = read(source, why);
    if (text) texts[source.text()] = *text;
    return text;
  });
  if (!loaded.ok()) {
    for (const Diagnostic& d : loaded.diagnostics) std::fputs(render(d, loaded.sources).c_str(), stderr);
    say("a changed list makes the policy wrong; the lists stay as they were");
    return nullptr;
  }
  if (!run_tests(loaded.policy, loaded.tests).passed()) {
    say("a changed list makes a test of the policy fail; the lists stay as they were");
    return nullptr;
  }
  texts_ = std::move(texts);
  return std::exchange(id_, loaded.policy->id()) == loaded.policy->id() ? nullptr : loaded.policy;
}

}  // namespace replygate
