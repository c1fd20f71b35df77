#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "milter/files.h"
#include "milter/host/local.h"
#include "milter/host/person.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;
using Level = Symptom::Level;

// Where the control socket is: its folder must not be the MTA's.
constexpr std::string_view kRunFolder = "/run/replygate";

// A folder that is replygate's alone may be given to the MTA's group; sockets in it then are that group's.
bool is_for_us_alone(const std::string& folder) {
  return folder != kRunFolder && fs::path(folder).filename().string().find("replygate") != std::string::npos;
}

// systemd makes the socket, where the unit itself may not write, and for a group that may command nothing.
std::string by_systemd(const std::string& path, const std::string& group) {
  return fmt::format(
      "install -d /etc/systemd/system/replygate.socket.d && printf '[Socket]\\nListenStream=\\nListenStream={}\\n"
      "SocketUser=replygate\\nSocketGroup={}\\nSocketMode=0660\\n' >/etc/systemd/system/replygate.socket.d/listen.conf "
      "&& systemctl daemon-reload && systemctl stop replygate replygate.socket && systemctl start replygate",
      path, group);
}

class SocketPath {
 public:
  SocketPath(const Person& mta, const std::string& path, Symptoms& symptoms)
      : mta_(mta), path_(path), symptoms_(symptoms) {}

  void check() {
    std::string folder;
    for (const fs::path& part : fs::path(path_).parent_path()) {
      folder = folder.empty() ? part.string() : (fs::path(folder) / part).string();
      if (!enters(folder)) return;
    }
    socket(folder);
  }

 private:
  void add(std::string what, std::string mend) {
    symptoms_.push_back({Level::error, "socket", std::move(what), std::move(mend)});
  }

  bool enters(const std::string& folder) {
    if (look_for(folder) == Presence::absent) {
      add(fmt::format("{}: there is no such folder", folder),
          fmt::format("install -d -o replygate -g {} -m 2750 {}", mta_.name, folder));
      return false;
    }
    if (mta_.may(folder, 1)) return true;
    add(fmt::format("{}: {} may not enter it, and so not reach {}", folder, mta_.name, path_),
        is_for_us_alone(folder) ? fmt::format("chgrp {0} {1} && chmod 2750 {1}", mta_.name, folder)
                                : fmt::format("chmod o+x {}", folder));
    return false;
  }

  void socket(const std::string& folder) {
    if (look_for(path_) == Presence::absent) {
      add(fmt::format("{} is not there: replygate does not run, or listens elsewhere", path_),
          folder == kRunFolder ? "systemctl start replygate" : by_systemd(path_, mta_.name));
    } else if (!mta_.may(path_, 2)) {
      add(fmt::format("{}: {} may not open it", path_, mta_.name),
          is_for_us_alone(folder) ? fmt::format("chgrp {0} {1} {2} && chmod 2750 {1}", mta_.name, folder, path_)
                                  : by_systemd(path_, mta_.name));
    }
  }

  const Person& mta_;
  const std::string& path_;
  Symptoms& symptoms_;
};

}  // namespace

Symptoms check_sockets(const Policy& policy, const std::optional<Person>& mta) {
  Symptoms symptoms;
  if (!mta) return symptoms;
  for (const std::string& text : policy.settings().listen) {
    const SocketAddress address = SocketAddress::parse(text).value_or(SocketAddress());
    if (address.family == SocketAddress::Family::unix_path) SocketPath(*mta, address.path, symptoms).check();
  }
  if (mta->is_in("replygate")) {
    symptoms.push_back({Level::warning, "socket",
                        fmt::format("{} is in the group replygate: the MTA may command the daemon", mta->name),
                        fmt::format("gpasswd -d {} replygate, then restart the MTA", mta->name)});
  }
  return symptoms;
}

}  // namespace replygate
