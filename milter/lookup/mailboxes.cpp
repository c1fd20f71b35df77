#include "milter/lookup/mailboxes.h"

#include <fmt/format.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <future>
#include <mutex>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/lookup/mailbox_sqlite.h"
#include "milter/lookup/quota_status.h"
#include "milter/lookup/source_trouble.h"
#include "policy/mail/list_text.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kLookPause{1};

using Percents = boost::unordered_flat_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

std::optional<std::int64_t> octets_of(std::string_view text) {
  const auto size = parse_size(text);
  return size ? size : parse_count(text);
}

// A file; a thread reads it again when it has changed, so that no decision waits for that. One that cannot be read
// keeps its last content.
class MailboxFile final : public Mailboxes {
 public:
  explicit MailboxFile(std::string path)
      : path_(std::move(path)), trouble_("[mailbox] " + path_, "its last content is kept") {}

  bool open(std::string& why) {
    if (!read(why)) return false;
    watch_ = std::make_unique<Ticker>("[mailbox]", kLookPause, [this] { look(); });
    return true;
  }

  void used(const Address& recipient, std::int64_t, Told told) override {
    const std::shared_ptr<const Percents> percents = this->percents();
    const auto it = percents->find(std::string_view(recipient.full));
    told(it == percents->end() ? MailboxUse::none() : MailboxUse::of(it->second));
  }
  std::string trouble() const override { return trouble_.text(); }

 private:
  std::shared_ptr<const Percents> percents() const {
    const std::lock_guard lock(mutex_);
    return percents_;
  }

  bool read(std::string& why) {
    std::string stamp = stamp_of_file(path_);  // before reading: what changes meanwhile is read again
    const auto text = read_file(path_, why);
    if (!text) return false;
    auto percents = std::make_shared<Percents>();
    for (const std::string_view line : split(without_byte_order_mark(*text), '\n')) {
      if (auto entry = parse_mailbox_line(line)) percents->insert_or_assign(std::move(entry->first), entry->second);
    }
    stamp_ = std::move(stamp);
    const std::lock_guard lock(mutex_);
    percents_ = std::move(percents);
    return true;
  }

  void look() {
    std::string why;
    if (stamp_of_file(path_) == stamp_) return;
    read(why) ? trouble_.ends() : trouble_.begins(why);
  }

  const std::string path_;
  SourceTrouble trouble_;
  std::string stamp_;  // of the thread
  mutable std::mutex mutex_;
  std::shared_ptr<const Percents> percents_ = std::make_shared<Percents>();  // guarded by mutex_
  std::unique_ptr<Ticker> watch_;
};

}  // namespace

std::int64_t percent_of(std::int64_t used, std::int64_t limit) {
  if (limit <= 0) return 0;
  return static_cast<std::int64_t>(static_cast<long double>(used) * 100 / static_cast<long double>(limit));
}

std::optional<std::pair<std::string, std::int64_t>> parse_mailbox_line(std::string_view line) {
  line = without_comment(line);
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
  return std::pair(canonical_login(words[0]), percent_of(*used, *limit));
}

namespace {

class Waiting final : public Mailboxes {
 public:
  explicit Waiting(std::unique_ptr<Mailboxes> source) : source_(std::move(source)) {}

  void used(const Address& recipient, std::int64_t size, Told told) override {
    auto answer = std::make_shared<std::promise<MailboxUse>>();
    auto use = answer->get_future();
    source_->used(recipient, size, [answer](MailboxUse u) { answer->set_value(u); });
    told(use.get());
  }
  std::string trouble() const override { return source_->trouble(); }

 private:
  std::unique_ptr<Mailboxes> source_;
};

}  // namespace

std::unique_ptr<Mailboxes> waiting(std::unique_ptr<Mailboxes> source) {
  return std::make_unique<Waiting>(std::move(source));
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
  if (!file->open(why)) return tl::unexpected(fmt::format("[mailbox] {}: {}", source.source->path, why));
  return file;
}

}  // namespace replygate
