#include "milter/lookup/quota_status.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <thread>
#include <vector>

#include "milter/guarded.h"
#include "milter/net/stream.h"
#include "policy/load/socket.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kMostIdle = 16;
constexpr std::size_t kMostOpen = 256;
constexpr std::size_t kMostAnswer = 8192;
constexpr std::chrono::seconds kServiceLook{1};
constexpr int kIdleLooks = 10;  // so many of them without a word of the service, and it is connected to

// One question and its answer on one connection; told exactly once. Without a question it connects alone.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // `failure`: why there was no answer; "": there was one.
  using Finished = std::function<void(std::shared_ptr<Exchange>, const std::string& failure)>;

  explicit Exchange(asio::io_context& context) : socket_(context), timer_(context) {}

  void ask(const StreamEndpoint& service, std::string question, Duration timeout, Mailboxes::Told told,
           Finished finished) {
    out_ = std::move(question);
    in_.clear();
    told_ = std::move(told);
    finished_ = std::move(finished);
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->give_up("no answer in time");
    });
    service_ = service;
    drop_unasked();
    used_before_ = socket_.is_open();
    used_before_ ? write() : connect();
  }

 private:
  // What came behind the last answer would be taken for that of this question.
  void drop_unasked() {
    error_code error;
    if (!socket_.is_open() || (socket_.available(error) == 0 && !error)) return;
    socket_.close(error);
  }

  void connect() {
    net::connect(socket_, {service_},
                 [self = shared_from_this()](error_code error) { error ? self->fail(error) : self->write(); });
  }

  void write() {
    if (out_.empty()) return end({}, "", false);
    net::write(socket_, out_, [self = shared_from_this()](error_code error, std::size_t) {
      error ? self->fail(error) : self->read();
    });
  }

  // A connection kept from an earlier question may have ended meanwhile; that says nothing of the service.
  void fail(error_code why) {
    const std::string reason = why == asio::error::eof ? "it has closed the connection" : why.message();
    if (!told_ || !in_.empty() || !std::exchange(used_before_, false)) return give_up(reason);
    error_code ignored;
    socket_.close(ignored);
    connect();
  }

  void read() {
    net::read_until(socket_, in_, kMostAnswer, "\n\n",
                    [self = shared_from_this()](error_code error, std::size_t length) {
                      if (error) return self->fail(error);
                      const auto use = parse_quota_answer(std::string_view(self->in_).substr(0, length));
                      if (!use) return self->give_up("what came is not an answer");
                      if (*use == MailboxUse()) return self->give_up("it answers that it cannot tell");
                      self->end(*use, "", self->in_.size() == length);
                    });
  }

  void give_up(const std::string& why) { end({}, why, false); }

  void end(MailboxUse use, const std::string& failure, bool reusable) {
    if (!told_) return;
    timer_.cancel();
    error_code ignored;
    if (!reusable) socket_.close(ignored);
    const auto told = std::exchange(told_, nullptr);
    const auto finished = std::exchange(finished_, nullptr);
    finished(shared_from_this(), failure);
    told(use);
  }

  StreamSocket socket_;
  asio::steady_timer timer_;
  StreamEndpoint service_;
  bool used_before_ = false;
  std::string out_;  // "": no question
  std::string in_;
  Mailboxes::Told told_;
  Finished finished_;
};

class QuotaStatus final : public Mailboxes {
 public:
  QuotaStatus(const SocketAddress& service, Duration timeout, Troubles& troubles)
      : name_(service.text()), service_(endpoint_of(service)), timeout_(timeout), troubles_(troubles), thread_([this] {
          run();
        }) {}
  ~QuotaStatus() override {
    asio::post(context_, [this] {
      idle_.clear();
      look_.cancel();
      work_.reset();
    });
    thread_.join();  // questions under way end at their deadlines
  }
  QuotaStatus(const QuotaStatus&) = delete;
  QuotaStatus& operator=(const QuotaStatus&) = delete;

  void used(const Address& recipient, std::int64_t size, Told told) override {
    std::string question =
        fmt::format("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nrecipient={}\nsize={}\n\n",
                    recipient.full, size);
    asio::post(context_, [this, question = std::move(question), told = std::move(told)]() mutable {
      ask(question, std::move(told));
    });
  }

 private:
  void run() {
    look_later();
    run_guarded(context_, "[mailbox]");
  }

  void look_later() {
    if (!work_) return;
    look_.expires_after(kServiceLook);
    look_.async_wait([this](error_code cancelled) {
      if (cancelled) return;
      guarded("[mailbox]", [this] { look(); });
      look_later();
    });
  }

  void look() {
    if (open_ > 0 || (++quiet_ < kIdleLooks && !failed_)) return;
    if (failed_ && !failed_->empty()) return ask(*failed_, [](MailboxUse) {});
    ++open_;
    std::make_shared<Exchange>(context_)->ask(
        service_, "", timeout_, [](MailboxUse) {}, [this](const auto&, const std::string& why) { note("", why); });
  }

  void note(const std::string& question, const std::string& failure) {
    --open_;
    quiet_ = 0;
    failed_ = failure.empty() ? std::nullopt : std::optional(question);
    tell(failure);
  }

  void tell(const std::string& why) {
    troubles_.tell("mailbox",
                   {why.empty() ? "" : fmt::format("[mailbox] {}: {}; mailbox_used is unknown", name_, why)});
  }

  void ask(const std::string& question, Told told) {
    if (idle_.empty() && open_ == kMostOpen) {
      tell("too many questions have no answer");
      return told({});
    }
    std::shared_ptr<Exchange> exchange;
    if (idle_.empty()) {
      exchange = std::make_shared<Exchange>(context_);
    } else {
      exchange = std::move(idle_.back());
      idle_.pop_back();
    }
    ++open_;
    exchange->ask(service_, question, timeout_, std::move(told),
                  [this, question](std::shared_ptr<Exchange> done, const std::string& failure) {
                    note(question, failure);
                    if (failure.empty() && idle_.size() < kMostIdle && work_) idle_.push_back(std::move(done));
                  });
  }

  const std::string name_;
  const StreamEndpoint service_;
  const Duration timeout_;
  Troubles& troubles_;
  asio::io_context context_{1};
  // On the thread alone.
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{context_.get_executor()};
  std::vector<std::shared_ptr<Exchange>> idle_;
  std::size_t open_ = 0;
  asio::steady_timer look_{context_};
  int quiet_ = 0;                      // looks since it was last asked
  std::optional<std::string> failed_;  // the question that was not answered last; "": connecting failed
  std::thread thread_;
};

}  // namespace

namespace {

bool has_word(std::string_view action, std::string_view word) { return action.find(word) != std::string_view::npos; }

// An action of Postfix's access(5), in lower case.
MailboxUse meaning_of(std::string_view action) {
  const bool for_now = action.starts_with("defer") || action.starts_with('4');
  const bool for_good = action.starts_with("reject") || action.starts_with('5');
  if (!for_now && !for_good) return MailboxUse::of(0);
  if (has_word(action, ".2.2") || has_word(action, "quota") || has_word(action, "full")) return MailboxUse::of(100);
  return for_good ? MailboxUse::none() : MailboxUse();
}

}  // namespace

std::optional<MailboxUse> parse_quota_answer(std::string_view answer) {
  constexpr std::string_view kAction = "action=";
  for (const std::string& given : lines_of(answer)) {
    const std::string line = to_lower(trim(given));
    if (line == kAction) break;
    if (line.starts_with(kAction)) return meaning_of(trim(std::string_view(line).substr(kAction.size())));
  }
  return {};
}

std::unique_ptr<Mailboxes> open_quota_status(const MailboxSource& source, Troubles& troubles) {
  const auto address = SocketAddress::parse(source.quota_status).value();
  return std::make_unique<QuotaStatus>(address, source.timeout, troubles);
}

}  // namespace replygate
