#include "milter/host/local.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <filesystem>

#include "milter/async_connect.h"
#include "milter/json_members.h"
#include "milter/serve/control_client.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using Level = Symptom::Level;

constexpr std::chrono::seconds kPatience{3};

// Somebody and the groups that he is in.
struct Person {
  std::string name;
  uid_t uid = 0;
  std::vector<gid_t> groups;

  static std::optional<Person> named(const std::string& name) {
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 16'384> texts{};
    if (::getpwnam_r(name.c_str(), &entry, texts.data(), texts.size(), &found) != 0 || found == nullptr) {
      return std::nullopt;
    }
    Person person{name, entry.pw_uid, std::vector<gid_t>(256)};
    int count = static_cast<int>(person.groups.size());
    ::getgrouplist(name.c_str(), entry.pw_gid, person.groups.data(), &count);
    person.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    return person;
  }

  // 1: search, 2: write, as in a mode.
  bool may(const std::string& path, unsigned right) const {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return false;
    const unsigned mode = s.st_mode;
    if (uid == 0) return true;
    if (s.st_uid == uid) return (mode >> 6 & right) != 0;
    if (std::ranges::find(groups, s.st_gid) != groups.end()) return (mode >> 3 & right) != 0;
    return (mode & right) != 0;
  }
};

// Of the MTA, which opens the socket.
std::optional<Person> mta_user() {
  for (const char* name : {"postfix", "smmta"}) {
    if (auto person = Person::named(name)) return person;
  }
  return std::nullopt;
}

void check_path(const Person& mta, const std::string& path, Symptoms& symptoms) {
  namespace fs = std::filesystem;
  const auto add = [&](std::string what, std::string mend) {
    symptoms.push_back({Level::error, "socket", std::move(what), std::move(mend)});
  };
  std::string folder;
  for (const fs::path& part : fs::path(path).parent_path()) {
    folder = folder.empty() ? part.string() : (fs::path(folder) / part).string();
    if (!fs::exists(folder)) {
      return add(fmt::format("{}: there is no such folder", folder),
                 fmt::format("install -d -o replygate -g replygate -m 0755 {}", folder));
    }
    if (!mta.may(folder, 1)) {
      return add(fmt::format("{}: {} may not enter it, and so not reach {}", folder, mta.name, path),
                 fmt::format("chmod o+x {}", folder));
    }
  }
  if (!fs::exists(path)) {
    return add(fmt::format("{} is not there: replygate does not run, or listens elsewhere", path),
               "systemctl start replygate");
  }
  if (!mta.may(path, 2)) {
    add(fmt::format("{}: {} may not open it", path, mta.name),
        fmt::format("usermod -aG replygate {}, then restart the MTA", mta.name));
  }
}

bool connects(const SocketAddress& server, std::string& why) {
  asio::io_context io;
  StreamSocket socket(io);
  boost::system::error_code result = asio::error::timed_out;
  async_connect(socket, server, [&](boost::system::error_code error) { result = error; });
  io.run_for(kPatience);
  why = result.message();
  return !result;
}

}  // namespace

Symptoms check_sockets(const Policy& policy) {
  Symptoms symptoms;
  const auto mta = mta_user();
  if (!mta) return symptoms;
  for (const std::string& text : policy.settings().listen) {
    const SocketAddress address = SocketAddress::parse(text).value();
    if (address.family == SocketAddress::Family::unix_path) check_path(*mta, address.path, symptoms);
  }
  return symptoms;
}

Symptoms check_store(const Policy& policy) {
  Symptoms symptoms;
  const StoreSettings& store = policy.settings().store;
  if (store.backend == StoreSettings::Backend::redis) {
    for (const std::string& server : store.servers) {
      std::string why;
      if (connects(SocketAddress::parse_server(server).value(), why)) continue;
      symptoms.push_back({Level::error, "store", fmt::format("{} cannot be reached: {}", server, why),
                          "start the server, open the firewall, or mend [store] servers"});
    }
  }
  if (store.backend == StoreSettings::Backend::sqlite) {
    const std::string folder = std::filesystem::path(store.path).parent_path().string();
    const auto user = Person::named("replygate");
    if (!std::filesystem::is_directory(folder)) {
      symptoms.push_back({Level::error, "store", fmt::format("{}: there is no such folder", folder),
                          fmt::format("install -d -o replygate -g replygate -m 0700 {}", folder)});
    } else if (user && !user->may(folder, 2)) {
      symptoms.push_back({Level::error, "store", fmt::format("{}: the user replygate may not write there", folder),
                          fmt::format("chown replygate: {}", folder)});
    }
  }
  if (symptoms.empty()) symptoms.push_back({Level::fine, "store", "can be had", ""});
  return symptoms;
}

Symptoms check_clock() {
  timex clock{};
  const int state = ::ntp_adjtime(&clock);
  if (state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0) return {{Level::fine, "clock", "is kept by NTP", ""}};
  return {{Level::warning, "clock", "nothing keeps it right: windows of time and calendar periods drift",
           "systemctl enable --now systemd-timesyncd (or chrony)"}};
}

Symptoms check_daemon(const std::string& control_socket, const Policy& policy) {
  const auto client = ControlClient::connect(control_socket);
  if (!client) return {{Level::error, "daemon", client.error(), "systemctl start replygate; journalctl -u replygate"}};
  const auto answer = (*client)->ask({{"command", "status"}});
  if (!answer) return {{Level::error, "daemon", answer.error(), "systemctl restart replygate"}};
  const boost::json::object& status = object_at(*answer, "result");
  Symptoms symptoms;
  if (const std::string trouble = text_at(status, "trouble"); !trouble.empty()) {
    symptoms.push_back({Level::error, "daemon", trouble, "replygate status; journalctl -u replygate"});
  }
  const std::string id = text_at(object_at(status, "policy"), "id");
  if (id.substr(0, id.find('+')) != policy.id()) {
    symptoms.push_back({Level::warning, "daemon", fmt::format("serves policy {}, the file is {}", id, policy.id()),
                        "replygate reload"});
  }
  if (symptoms.empty()) symptoms.push_back({Level::fine, "daemon", "serves this policy", ""});
  return symptoms;
}

}  // namespace replygate
