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

// Lines of a mailbox file that are none.
class Nonsense {
 public:
  void add(std::size_t line) {
    if (count_++ == 0) first_ = line;
  }
  // "" where all are understood.
  std::string text(const std::string& path) const {
    if (count_ == 0) return "";
    const std::string which =
        count_ == 1 ? fmt::format("line {} is", first_) : fmt::format("line {} and {} more are", first_, count_ - 1);
    return fmt::format("[mailbox] {}: {} not understood and ignored; a line is: user used limit", path, which);
  }

 private:
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

// A file; a thread reads it again when it has changed, so that no decision waits for that. One that cannot be read
// keeps its last content.
class MailboxFile final : public Mailboxes {
 public:
  MailboxFile(std::string path, Troubles& troubles) : path_(std::move(path)), troubles_(troubles) {}

  bool open(std::string& why) {
    if (!read(why)) return false;
    tell("");
    watch_ = std::make_unique<Ticker>("[mailbox]", kLookPause, [this] { look(); });
    return true;
  }

  void used(const Address& recipient, std::int64_t, Told told) override {
    const std::shared_ptr<const Percents> percents = this->percents();
    const auto it = percents->find(std::string_view(recipient.full));
    told(it == percents->end() ? MailboxUse::none() : MailboxUse::of(it->second));
  }

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
    Nonsense nonsense;
    std::size_t number = 0;
    for (const std::string_view line : split(without_byte_order_mark(*text), '\n')) {
      ++number;
      auto entry = parse_mailbox_line(line);
      if (entry) percents->insert_or_assign(std::move(entry->first), entry->second);
      if (!entry && !without_comment(line).empty()) nonsense.add(number);
    }
    stamp_ = std::move(stamp);
    nonsense_ = nonsense.text(path_);
    const std::lock_guard lock(mutex_);
    percents_ = std::move(percents);
    return true;
  }

  void look() {
    std::string why;
    const bool read_well = stamp_of_file(path_) == stamp_ || read(why);
    tell(read_well ? "" : fmt::format("[mailbox] {}: {}; its last content is kept", path_, why));
  }

  void tell(std::string unread) { troubles_.tell("mailbox", {std::move(unread), nonsense_}); }

  const std::string path_;
  Troubles& troubles_;
  std::string stamp_;     // of the thread
  std::string nonsense_;  // of the thread; what is wrong with the content
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

 private:
  std::unique_ptr<Mailboxes> source_;
};

}  // namespace

std::unique_ptr<Mailboxes> waiting(std::unique_ptr<Mailboxes> source) {
  return std::make_unique<Waiting>(std::move(source));
}

tl::expected<std::unique_ptr<Mailboxes>, std::string> open_mailboxes(const MailboxSource& source, Troubles& troubles) {
  if (source.none()) return nullptr;
  if (!source.quota_status.empty()) return open_quota_status(source, troubles);
  std::string why;
  if (source.source->kind == DataSource::Kind::sqlite) {
    auto mailboxes = open_mailbox_sqlite(*source.source, source.timeout, troubles, why);
    if (mailboxes == nullptr) return tl::unexpected(fmt::format("[mailbox] {}: {}", source.source->path, why));
    return mailboxes;
  }
  auto file = std::make_unique<MailboxFile>(source.source->path, troubles);
  if (!file->open(why)) return tl::unexpected(fmt::format("[mailbox] {}: {}", source.source->path, why));
  return file;
}

}  // namespace replygate
