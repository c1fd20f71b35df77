#include "milter/net/resolver.h"

#include <netdb.h>

#include <atomic>
#include <boost/asio.hpp>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "milter/guarded.h"

namespace replygate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int kMostAtOnce = 16;  // beyond them the resolver hangs, and more would only hang, too

std::atomic<int> looking_up = 0;

error_code error_of(int status) {
  switch (status) {
    case 0: return {};
    case EAI_AGAIN: return asio::error::host_not_found_try_again;
    case EAI_FAIL: return asio::error::no_recovery;
    case EAI_MEMORY: return asio::error::no_memory;
    case EAI_SERVICE: return asio::error::service_not_found;
    case EAI_SYSTEM: return {errno, boost::system::system_category()};
    default: return asio::error::host_not_found;
  }
}

using Looked = Resolver::Looked;

// Blocks, but for addresses with AI_NUMERICHOST.
Looked ask_system(int family, const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  Looked looked{.error = error_of(::getaddrinfo(host.c_str(), port.c_str(), &hints, &list)), .addresses = {}};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  for (const addrinfo* one = looked.error ? nullptr : list; one != nullptr; one = one->ai_next) {
    looked.addresses.emplace_back(one->ai_addr, one->ai_addrlen, one->ai_protocol);
  }
  return looked;
}

}  // namespace

// Whoever asked may be gone when the answer comes, and the loop with him. What he gave us never leaves the loop's
// thread.
struct Resolver::Question {
  using Loop = asio::executor_work_guard<asio::any_io_executor>;

  std::mutex mutex;
  // Guarded by mutex.
  std::optional<Loop> loop;  // nothing once nobody waits
  Found found;

  Found leave() {
    const std::lock_guard lock(mutex);
    loop.reset();
    return std::exchange(found, nullptr);
  }
};

void Resolver::cancel() {
  if (question_ != nullptr) question_->leave();
  question_.reset();
}

void Resolver::look_up(int family, const std::string& host, const std::string& port, Found found) {
  cancel();
  if (const Looked looked = ask_system(family, host, port, AI_NUMERICHOST | AI_NUMERICSERV); !looked.error) {
    return found({}, looked.addresses);
  }
  if (looking_up >= kMostAtOnce) return found(asio::error::host_not_found_try_again, {});
  question_ = std::make_shared<Question>();
  question_->loop.emplace(loop_);
  question_->found = std::move(found);
  try {
    std::thread([question = question_, family, host, port] {
      ++looking_up;
      // Whoever waits has a deadline, too.
      guarded("resolver", [&] { answer(question, ask_system(family, host, port, 0)); });
      --looking_up;
    }).detach();
  } catch (const std::system_error&) {  // there may be no more threads
    const Found told = std::move(std::exchange(question_, nullptr)->found);
    told(asio::error::host_not_found_try_again, {});
  }
}

void Resolver::answer(const std::shared_ptr<Question>& question, Looked looked) {
  const std::lock_guard lock(question->mutex);
  if (!question->loop) return;
  asio::post(question->loop->get_executor(), [question, looked = std::move(looked)] {
    if (const Found found = question->leave()) found(looked.error, looked.addresses);
  });
}

}  // namespace replygate::net
