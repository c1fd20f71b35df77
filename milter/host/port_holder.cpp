#include "milter/host/port_holder.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "policy/mail/ip.h"

namespace replygate {
namespace {

constexpr std::string_view kListening = "0A";
constexpr unsigned long kAcceptsConnections = 0x10000;

// The kernel's words of a line of /proc/net.
std::vector<std::string> words_of_line(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// "0100007F": each four octets are a number of this machine.
std::string kernel_address(const IpAddress& address, bool v6) {
  std::string text;
  const auto& octets = address.bytes();
  for (std::size_t at = v6 ? 0 : 12; at < 16; at += 4) {
    text += fmt::format("{:02X}{:02X}{:02X}{:02X}", octets[at + 3], octets[at + 2], octets[at + 1], octets[at]);
  }
  return text;
}

// The number of the socket; "" for none.
std::string tcp_socket(const SocketAddress& address) {
  const auto ip = IpAddress::parse(address.host);
  for (const bool v6 : {false, true}) {
    std::ifstream file(v6 ? "/proc/net/tcp6" : "/proc/net/tcp");
    for (std::string line; std::getline(file, line);) {
      const auto words = words_of_line(line);
      if (words.size() < 10 || words[3] != kListening) continue;
      const std::size_t colon = words[1].find(':');
      if (words[1].substr(colon + 1) != fmt::format("{:04X}", address.port)) continue;
      const std::string host = words[1].substr(0, colon);
      const bool all = host.find_first_not_of('0') == std::string::npos;
      if (all || (ip && host == kernel_address(*ip, v6))) return words[9];
    }
  }
  return "";
}

std::string unix_socket(const std::string& path) {
  std::ifstream file("/proc/net/unix");
  for (std::string line; std::getline(file, line);) {
    const auto words = words_of_line(line);
    if (words.size() < 8 || words[7] != path) continue;
    if ((std::strtoul(words[3].c_str(), nullptr, 16) & kAcceptsConnections) != 0) return words[6];
  }
  return "";
}

bool has_open(const std::string& process, const std::string& socket) {
  std::error_code error;
  std::filesystem::directory_iterator file(process + "/fd", error);
  for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    std::error_code unreadable;
    if (std::filesystem::read_symlink(file->path(), unreadable) == fmt::format("socket:[{}]", socket)) return true;
  }
  return false;
}

std::string name_of_process(const std::string& process) {
  std::ifstream file(process + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

std::optional<PortHolder> holder_of(const SocketAddress& address) {
  const std::string socket = address.family == SocketAddress::Family::unix_path    ? unix_socket(address.path)
                             : address.family == SocketAddress::Family::descriptor ? ""
                                                                                   : tcp_socket(address);
  if (socket.empty()) return std::nullopt;
  std::error_code error;
  std::filesystem::directory_iterator process("/proc", error);
  for (; !error && process != std::filesystem::directory_iterator(); process.increment(error)) {
    const std::string name = process->path().filename().string();
    int pid = 0;
    std::from_chars(name.data(), name.data() + name.size(), pid);
    if (pid == 0 || !has_open(process->path().string(), socket)) continue;
    return PortHolder{pid, name_of_process(process->path().string())};
  }
  return PortHolder{0, "another program"};
}

}  // namespace replygate
