#include "milter/lookup/asked_source.h"

#include <fmt/format.h>

#include <boost/asio.hpp>

#include "milter/guarded.h"
#include "milter/lookup/live_sources.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using boost::system::error_code;

constexpr std::chrono::seconds kProbePause{1};

}  // namespace

AskedSource::AskedSource(boost::asio::io_context& loop, LiveSource source, std::function<void()> changed)
    : source_(std::move(source)),
      changed_(std::move(changed)),
      loop_(loop),
      probe_(loop),
      cache_(LiveSources::kMostAnswers) {}

void AskedSource::ask(const std::string& key, Lookups::Told told) {
  if (auto answer = cache_.find(key, std::chrono::steady_clock::now())) return told(*std::move(answer));
  if (ended_) return told({});
  const auto it = open_.find(key);
  if (it != open_.end()) return it->second.waiting.push_back(std::move(told));
  // One at a time finds out whether it is back.
  const bool gone = !gone_.empty() && tried_;
  if (!gone && open_.size() >= LiveSources::kMostOpen) note_refusal("too many questions have no answer");
  if (gone && probing_ == failed_) probing_ = key;
  if (gone || open_.size() >= LiveSources::kMostOpen) return told({});
  tried_ = true;
  begin(key, std::move(told));
}

void AskedSource::misread(const std::string& key) {
  note_refusal(fmt::format("what it says of \"{}\" is not understood", without_controls(key)));
}

std::string AskedSource::trouble() const {
  const std::string& why = gone_.empty() ? refused_ : gone_;
  return why.empty() ? "" : fmt::format("{}: {}; what it is asked is unknown", source_.text(), why);
}

void AskedSource::end() {
  ended_ = true;
  probe_.cancel();
  for (auto& [key, open] : std::exchange(open_, {})) {
    for (const auto& told : open.waiting) told({});
  }
  backend_.reset();
}

void AskedSource::begin(const std::string& key, Lookups::Told told) {
  Open open;
  open.answers = answers_;
  if (told) open.waiting.push_back(std::move(told));
  open.deadline = std::make_unique<boost::asio::steady_timer>(loop_);
  open.deadline->expires_after(source_.timeout);
  open.deadline->async_wait([self = shared_from_this(), key](error_code cancelled) {
    if (!cancelled) self->give_up(key);
  });
  open_.emplace(key, std::move(open));
  if (backend_ == nullptr) {
    backend_ =
        source_.kind == LiveSource::Kind::socketmap ? open_socketmap(loop_, source_) : open_table(loop_, source_);
  }
  backend_->ask(key, [self = weak_from_this(), key](const LiveAnswer& answer, const LiveBackend::Failure& failure) {
    if (const auto asked = self.lock()) asked->conclude(key, answer, failure);
  });
}

// The key may have been answered and asked again since its deadline was queued.
void AskedSource::give_up(const std::string& key) {
  const auto it = open_.find(key);
  if (it == open_.end() || it->second.deadline->expiry() > std::chrono::steady_clock::now()) return;
  conclude(key, {}, {"no answer in time", true});
}

// The first word counts, be it the answer or that there is none in time.
void AskedSource::conclude(const std::string& key, const LiveAnswer& told, const LiveBackend::Failure& failure) {
  const LiveAnswer answer = told.text.size() > LiveSources::kLongestText ? LiveAnswer::found("") : told;
  const auto it = open_.find(key);
  if (it == open_.end()) return;
  const Open open = std::move(it->second);
  open_.erase(it);
  if (!open.waiting.empty()) tried_ = false;
  if (failure.gone && open.answers != answers_) {
    note_refusal(failure.why);  // it answers others
  } else if (failure.gone) {
    note_gone(key, failure.why);
  } else if (!failure.why.empty()) {
    note_back(key);
    note_refusal(failure.why);
  } else {
    cache_.put(key, answer, std::chrono::steady_clock::now() + source_.cache);
    note_back(key);
    refused_.clear();
  }
  tell();
  for (const auto& waiting : open.waiting) {
    guarded("lookups", [&] { waiting(failure.why.empty() ? answer : LiveAnswer()); });
  }
}

void AskedSource::tell() {
  std::string now = trouble();
  if (now == told_) return;
  told_ = std::move(now);
  changed_();
}

void AskedSource::note_back(const std::string& key) {
  ++answers_;
  probing_ = key;
  gone_.clear();
  probe_.cancel();
}

void AskedSource::note_refusal(std::string why) {
  refused_ = std::move(why);
  tell();
}

// A key is asked until it is answered, so that the end of it is noticed without mail. Another key than the one that
// failed, where one is known: a question that is slow by itself says nothing of the source.
void AskedSource::note_gone(const std::string& key, const std::string& why) {
  gone_ = why;
  failed_ = key;
  if (probing_.empty()) probing_ = key;
  if (ended_) return;
  probe_.expires_after(kProbePause);
  probe_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled && !self->ended_ && !self->open_.contains(self->probing_)) self->begin(self->probing_, nullptr);
  });
}

}  // namespace replygate
