#include <fmt/format.h>

#include <boost/asio.hpp>
#include <filesystem>

#include "milter/host/local.h"
#include "milter/host/person.h"
#include "milter/log/sinks.h"
#include "milter/net/stream.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Level = Symptom::Level;

constexpr std::chrono::seconds kStorePatience{3};

bool connects(const SocketAddress& server, std::string& why) {
  asio::io_context io;
  StreamSocket socket(io);
  boost::system::error_code result = asio::error::timed_out;
  net::Resolver resolver(io);
  net::connect(socket, resolver, server, [&](boost::system::error_code error) { result = error; });
  io.run_for(kStorePatience);
  why = result.message();
  return !result;
}

void servers(const StoreSettings& store, Symptoms& symptoms) {
  for (const std::string& server : store.servers) {
    std::string why;
    if (connects(SocketAddress::parse_server(server).value_or(SocketAddress()), why)) continue;
    symptoms.push_back({Level::error, "store", fmt::format("{} cannot be reached: {}", server, why),
                        "start the server, open the firewall, or fix [store] servers"});
  }
}

// What was made by root, as by a start by hand, is closed to the daemon.
std::string foreign_file(const std::string& folder, const Person& user) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const unsigned right = entry->is_directory(error) ? 3 : 2;
    if (!user.may(entry->path().string(), right)) return entry->path().string();
  }
  return "";
}

bool is_own_folder(const std::string& folder) { return folder.find("replygate") != std::string::npos; }

// A folder that others use, too, is not given away as a whole.
std::string folder_mend(const std::string& folder) {
  if (is_own_folder(folder)) return fmt::format("chown -R replygate: {}", folder);
  return "give replygate a folder of its own: [store] path = \"/var/lib/replygate/state.db\"";
}

// The first file of the store, or beside it in a folder of our own, that the daemon may not write; "" for none.
std::string closed_file(const StoreSettings& store, const std::string& folder, const Person& user) {
  if (is_own_folder(folder)) return foreign_file(folder, user);
  std::error_code error;
  for (const char* part : {"", "-wal", "-shm"}) {
    const std::string name = store.path + part;
    if (fs::exists(name, error) && !user.may(name, 2)) return name;
  }
  return "";
}

void file(const StoreSettings& store, Symptoms& symptoms) {
  const std::string folder = fs::path(store.path).parent_path().string();
  const auto add = [&](std::string what, std::string mend) {
    symptoms.push_back({Level::error, "store", std::move(what), std::move(mend)});
  };
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return add(fmt::format("{}: there is no such folder", folder),
               fmt::format("install -d -o replygate -g replygate -m 0700 {}", folder));
  }
  const auto user = Person::named("replygate");
  if (user && !user->may(folder, 3)) {
    return add(fmt::format("{}: the user replygate may not write there", folder), folder_mend(folder));
  }
  const std::string closed = user ? closed_file(store, folder, *user) : "";
  if (closed.empty()) return;
  add(fmt::format("{}: the user replygate may not write it", closed),
      is_own_folder(folder) ? folder_mend(folder) : fmt::format("chown replygate: {}", closed));
}

// A file of records is made where there is none.
std::string file_trouble(const std::string& path) {
  const auto user = Person::named("replygate");
  std::error_code error;
  const std::string folder = fs::path(path).parent_path().string();
  if (!fs::is_directory(folder, error)) return fmt::format("{}: there is no such folder", folder);
  const bool there = fs::exists(path, error);
  if (user && !user->may(there ? path : folder, there ? 2 : 3)) {
    return fmt::format("{}: the user replygate may not write it", path);
  }
  return "";
}

}  // namespace

Symptoms check_store(const Policy& policy) {
  Symptoms symptoms;
  const StoreSettings& store = policy.settings().store;
  if (store.backend == StoreSettings::Backend::redis) servers(store, symptoms);
  if (store.backend == StoreSettings::Backend::sqlite) file(store, symptoms);
  if (symptoms.empty()) symptoms.push_back({Level::fine, "store", "is usable", ""});
  return symptoms;
}

Symptoms check_log(const Policy& policy) {
  Symptoms symptoms;
  for (const std::string& place : policy.settings().log_sinks) {
    std::string trouble;
    std::string mend = "start it, or name a file: [log] decisions = \"file:/var/log/replygate/decisions.json\"";
    if (place == "journal") trouble = missing_socket(place, "/run/systemd/journal/socket");
    if (place == "syslog") trouble = missing_socket(place, "/dev/log");
    if (place.starts_with("file:")) {
      trouble = file_trouble(place.substr(5));
      mend = fmt::format("install -d -o replygate -g adm -m 0750 {0}; chown replygate: {1}",
                         fs::path(place.substr(5)).parent_path().string(), place.substr(5));
    }
    if (!trouble.empty()) symptoms.push_back({Level::warning, "log", std::move(trouble), std::move(mend)});
  }
  return symptoms;
}

}  // namespace replygate
