#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>

#include "milter/log/say.h"
#include "milter/serve/note_carrier.h"
#include "milter/serve/note_encoding.h"
#include "milter/serve/note_steps.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using net::Error;

// An end of a connection over IP.
std::optional<std::pair<IpAddress, std::uint16_t>> address_of(const StreamEndpoint& end) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  constexpr int kNumbers = NI_NUMERICHOST | NI_NUMERICSERV;
  if (::getnameinfo(end.data(), static_cast<socklen_t>(end.size()), host.data(), host.size(), port.data(), port.size(),
                    kNumbers) != 0) {
    return std::nullopt;
  }
  const auto ip = IpAddress::parse(host.data());
  if (!ip) return std::nullopt;
  return std::pair(*ip, static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10)));
}

std::optional<ConnectionEnds> ends_of(const StreamSocket& socket) {
  Error error;
  const StreamEndpoint local = socket.local_endpoint(error);
  const auto client = error ? std::nullopt : address_of(local);
  const StreamEndpoint remote = socket.remote_endpoint(error);
  const auto server = error ? std::nullopt : address_of(remote);
  if (!client || !server) return std::nullopt;
  return ConnectionEnds{client->first, client->second, server->first, server->second};
}

// While it lives, the connection is known as ours.
class Announcement {
 public:
  Announcement(OwnConnections& own, const StreamSocket& socket) : own_(own), ends_(ends_of(socket)) {
    if (ends_) own_.add(*ends_);
  }
  ~Announcement() {
    if (ends_) own_.remove(*ends_);
  }
  Announcement(const Announcement&) = delete;
  Announcement& operator=(const Announcement&) = delete;

 private:
  OwnConnections& own_;
  const std::optional<ConnectionEnds> ends_;
};

class Mail final : public NoteCarrier {
 public:
  Mail(const NotifySettings& settings, OwnConnections& own, std::chrono::milliseconds patience)
      : own_(own),
        steps_(patience),
        to_(settings.to),
        from_(settings.from),
        server_(SocketAddress::parse_server(settings.smtp).value()) {}

  bool is_for(const Note& note) const override { return !recipients(note).empty(); }

  tl::expected<void, std::string> carry(const Note& note) override try {
    boost::asio::io_context& io = steps_.begin();
    StreamSocket socket(io);
    net::Resolver resolver(io);
    steps_.run("connecting", [&](auto done) { net::connect(socket, resolver, server_, done); });
    const Announcement ours(own_, socket);
    in_.clear();
    expect(socket, "", 220);
    expect(socket, fmt::format("EHLO {}\r\n", host_name()), 250);
    expect(socket, fmt::format("MAIL FROM:<{}>\r\n", from_), 250);
    if (!name_recipients(socket, note)) return {};
    expect(socket, "DATA\r\n", 354);
    expect(socket, message(note), 250);
    take_leave(socket);
    return {};
  } catch (const std::exception& error) {
    return tl::unexpected(fmt::format("mail by {}: {}", server_.text(), error.what()));
  }

  void stop() override { steps_.stop(); }

 private:
  // Who is refused for good is left out, and said; false where nobody is left.
  bool name_recipients(StreamSocket& socket, const Note& note) {
    bool any = false;
    for (const std::string& to : recipients(note)) {
      const std::string reply = ask(socket, fmt::format("RCPT TO:<{}>\r\n", to));
      if (reply.starts_with('5')) {
        say(fmt::format("notify: <{}> gets no mail: {}", to, without_controls(reply)));
      } else if (!reply.starts_with("25")) {
        throw std::runtime_error(fmt::format("\"RCPT TO:<{}>\" was answered {}", to, reply));
      } else {
        any = true;
      }
    }
    return any;
  }

  // The note is the server's already: sent once more it would come twice.
  void take_leave(StreamSocket& socket) try {
    in_.clear();
    expect(socket, "QUIT\r\n", 221);
  } catch (const std::exception&) {
    in_.clear();
  }

  // Sends a command and wants a reply of this code.
  void expect(StreamSocket& socket, const std::string& command, int code) {
    const std::string reply = ask(socket, command);
    if (reply.starts_with(std::to_string(code))) return;
    throw std::runtime_error(fmt::format("\"{}\" was answered {}", command.substr(0, command.find('\r')), reply));
  }

  // Sends a command; the last line of its reply, without CRLF. One that came before would be taken for that of the
  // command.
  std::string ask(StreamSocket& socket, const std::string& command) {
    if (!in_.empty()) throw std::runtime_error("a reply that nobody asked for");
    steps_.run("writing", [&](auto done) { net::write(socket, command, done); });
    std::string line;
    do {
      std::size_t size = 0;
      steps_.run("reading", [&](auto done) {
        net::read_until(socket, in_, 4096, "\n", [&size, done](Error e, std::size_t n) mutable {
          size = n;
          done(e);
        });
      });
      line = in_.substr(0, size);
      in_.erase(0, size);
    } while (line.size() > 3 && line[3] == '-');
    return line.substr(0, line.find('\r'));
  }

  const std::vector<std::string>& recipients(const Note& note) const { return note.to.empty() ? to_ : note.to; }

  std::string message(const Note& note) const {
    const std::time_t now = std::time(nullptr);
    const EncodedBody body = encoded_body(note.text);
    std::string text = fmt::format(
        "From: replygate <{}>\r\nTo: {}\r\nSubject: {}\r\nDate: {:%a, %d %b %Y %H:%M:%S +0000}\r\n"
        "Auto-Submitted: auto-generated\r\n{}\r\n",
        from_, fmt::join(recipients(note), ", "), encoded_subject(note.subject), fmt::gmtime(now), body.fields);
    std::string_view rest = body.lines;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      text += fmt::format("{}{}\r\n", line.starts_with('.') ? "." : "", line);
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    return text + ".\r\n";
  }

  OwnConnections& own_;
  Steps steps_;
  const std::vector<std::string> to_;
  const std::string from_;
  const SocketAddress server_;
  std::string in_;
};

}  // namespace

std::unique_ptr<NoteCarrier> mail_carrier(const NotifySettings& settings, OwnConnections& own,
                                          std::chrono::milliseconds patience) {
  return std::make_unique<Mail>(settings, own, patience);
}

}  // namespace replygate
