#include "milter/lookup/quota_status.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <thread>
#include <vector>

#include "milter/door/listening.h"
#include "policy/load/socket.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kMostIdle = 16;
constexpr std::size_t kMostOpen = 256;
constexpr std::size_t kMostAnswer = 8192;

// One question and its answer on one connection; told exactly once.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  using Finished = std::function<void(std::shared_ptr<Exchange>, bool reusable)>;

  explicit Exchange(asio::io_context& context) : socket_(context), timer_(context) {}

  void ask(const StreamEndpoint& service, std::string question, Duration timeout, Mailboxes::Told told,
           Finished finished) {
    out_ = std::move(question);
    in_.clear();
    told_ = std::move(told);
    finished_ = std::move(finished);
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->end(std::nullopt, false);
    });
    if (socket_.is_open()) return write();
    socket_.async_connect(service, [self = shared_from_this()](error_code error) {
      error ? self->end(std::nullopt, false) : self->write();
    });
  }

 private:
  void write() {
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
      error ? self->end(std::nullopt, false) : self->read();
    });
  }

  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(in_, kMostAnswer), "\n\n",
                           [self = shared_from_this()](error_code error, std::size_t length) {
                             if (error) return self->end(std::nullopt, false);
                             self->end(parse_quota_answer(std::string_view(self->in_).substr(0, length)), true);
                           });
  }

  void end(std::optional<std::int64_t> percent, bool reusable) {
    if (!told_) return;
    timer_.cancel();
    error_code ignored;
    if (!reusable) socket_.close(ignored);
    const auto told = std::exchange(told_, nullptr);
    const auto finished = std::exchange(finished_, nullptr);
    finished(shared_from_this(), reusable);
    told(percent);
  }

  StreamSocket socket_;
  asio::steady_timer timer_;
  std::string out_;
  std::string in_;
  Mailboxes::Told told_;
  Finished finished_;
};

class QuotaStatus final : public Mailboxes {
 public:
  QuotaStatus(StreamEndpoint service, Duration timeout)
      : service_(std::move(service)), timeout_(timeout), thread_([this] { context_.run(); }) {}
  ~QuotaStatus() override {
    asio::post(context_, [this] {
      idle_.clear();
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
      ask(std::move(question), std::move(told));
    });
  }

 private:
  void ask(std::string question, Told told) {
    if (idle_.empty() && open_ == kMostOpen) return told(std::nullopt);
    std::shared_ptr<Exchange> exchange;
    if (idle_.empty()) {
      exchange = std::make_shared<Exchange>(context_);
    } else {
      exchange = std::move(idle_.back());
      idle_.pop_back();
    }
    ++open_;
    exchange->ask(service_, std::move(question), timeout_, std::move(told),
                  [this](std::shared_ptr<Exchange> done, bool reusable) {
                    --open_;
                    if (reusable && idle_.size() < kMostIdle && work_) idle_.push_back(std::move(done));
                  });
  }

  const StreamEndpoint service_;
  const Duration timeout_;
  asio::io_context context_{1};
  // On the thread alone.
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{context_.get_executor()};
  std::vector<std::shared_ptr<Exchange>> idle_;
  std::size_t open_ = 0;
  std::thread thread_;
};

}  // namespace

std::optional<std::int64_t> parse_quota_answer(std::string_view answer) {
  constexpr std::string_view kAction = "action=";
  while (!answer.empty()) {
    const std::size_t end = std::min(answer.find('\n'), answer.size());
    const std::string line = to_lower(trim(answer.substr(0, end)));
    answer.remove_prefix(std::min(end + 1, answer.size()));
    if (!line.starts_with(kAction)) continue;
    const std::string_view action = trim(std::string_view(line).substr(kAction.size()));
    const bool refusal = action.starts_with("reject") || action.starts_with("defer") || action.starts_with('4') ||
                         action.starts_with('5');
    if (!refusal) return 0;
    const bool full = action.find(".2.2") != std::string_view::npos || action.find("quota") != std::string_view::npos ||
                      action.find("full") != std::string_view::npos;
    return full ? std::optional<std::int64_t>(100) : std::nullopt;
  }
  return std::nullopt;
}

std::unique_ptr<Mailboxes> open_quota_status(const MailboxSource& source) {
  const auto address = SocketAddress::parse(source.quota_status).value();
  return std::make_unique<QuotaStatus>(endpoint_of(address), source.timeout);
}

}  // namespace replygate
