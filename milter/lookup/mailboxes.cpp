#include "milter/lookup/mailboxes.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <mutex>

#include "milter/files.h"
#include "milter/lookup/mailbox_sqlite.h"
#include "milter/lookup/quota_status.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Percents = boost::unordered_flat_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

std::optional<std::int64_t> octets_of(std::string_view text) {
  const auto size = parse_size(text);
  return size ? size : parse_count(text);
}

// A file, read again when it has changed; looked at once a second at the most.
class MailboxFile final : public Mailboxes {
 public:
  explicit MailboxFile(std::string path) : path_(std::move(path)) {}

  bool read(std::string& why) {
    struct stat s {};
    const bool there = ::stat(path_.c_str(), &s) == 0;
    const auto text = read_file(path_, why);
    if (!text) return false;
    auto percents = std::make_shared<Percents>();
    for (const std::string_view line : split(*text, '\n')) {
      if (auto entry = parse_mailbox_line(line)) percents->insert_or_assign(std::move(entry->first), entry->second);
    }
    percents_ = std::move(percents);
    if (there) stamp_ = stamp_of(s);
    return true;
  }

  void used(const Address& recipient, std::int64_t, Told told) override {
    std::shared_ptr<const Percents> percents;
    {
      const std::lock_guard lock(mutex_);
      refresh();
      percents = percents_;
    }
    const auto it = percents->find(std::string_view(recipient.full));
    told(it == percents->end() ? std::nullopt : std::optional(it->second));
  }

 private:
  using Stamp = std::array<std::int64_t, 4>;
  static Stamp stamp_of(const struct stat& s) {
    return {static_cast<std::int64_t>(s.st_ino), s.st_mtim.tv_sec, s.st_mtim.tv_nsec, s.st_size};
  }

  // A file that cannot be read keeps its last content.
  void refresh() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < std::chrono::seconds(1)) return;
    looked_ = now;
    struct stat s {};
    if (::stat(path_.c_str(), &s) != 0) return;
    std::string why;
    if (stamp_of(s) != stamp_) read(why);
  }

  const std::string path_;
  std::mutex mutex_;
  // Guarded by mutex_ once the object is shared.
  std::shared_ptr<const Percents> percents_ = std::make_shared<Percents>();
  Stamp stamp_{};
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace

std::int64_t percent_of(std::int64_t used, std::int64_t limit) {
  if (limit <= 0) return 0;
  return static_cast<std::int64_t>(static_cast<long double>(used) * 100 / static_cast<long double>(limit));
}

std::optional<std::pair<std::string, std::int64_t>> parse_mailbox_line(std::string_view line) {
  line = trim(line.substr(0, line.find('#')));
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line = trim(line.substr(end));
  }
  if (words.size() != 3) return std::nullopt;
  const auto used = octets_of(words[1]);
  const auto limit = octets_of(words[2]);
  if (!used || !limit) return std::nullopt;
  return std::pair(to_lower(words[0]), percent_of(*used, *limit));
}

tl::expected<std::unique_ptr<Mailboxes>, std::string> open_mailboxes(const MailboxSource& source) {
  if (source.none()) return nullptr;
  if (!source.quota_status.empty()) return open_quota_status(source);
  std::string why;
  if (source.source->kind == DataSource::Kind::sqlite) {
    auto mailboxes = open_mailbox_sqlite(*source.source, source.timeout, why);
    if (mailboxes == nullptr) return tl::unexpected(fmt::format("[mailbox] {}: {}", source.source->path, why));
    return mailboxes;
  }
  auto file = std::make_unique<MailboxFile>(source.source->path);
  if (!file->read(why)) return tl::unexpected(fmt::format("[mailbox] {}: {}", source.source->path, why));
  return file;
}

}  // namespace replygate
