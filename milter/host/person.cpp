#include "milter/host/person.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace replygate {

std::optional<Person> Person::named(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16'384> texts{};
  if (::getpwnam_r(name.c_str(), &entry, texts.data(), texts.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  Person person{name, entry.pw_uid, std::vector<gid_t>(256)};
  int count = static_cast<int>(person.groups.size());
  ::getgrouplist(name.c_str(), entry.pw_gid, person.groups.data(), &count);
  person.groups.resize(static_cast<std::size_t>(std::clamp(count, 0, 256)));
  return person;
}

bool Person::may(const std::string& path, unsigned right) const {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return false;
  const unsigned mode = s.st_mode;
  if (uid == 0) return true;
  if (s.st_uid == uid) return (mode >> 6 & right) == right;
  if (std::ranges::find(groups, s.st_gid) != groups.end()) return (mode >> 3 & right) == right;
  return (mode & right) == right;
}

bool Person::is_in(const std::string& group) const {
  ::group entry{};
  ::group* found = nullptr;
  std::array<char, 16'384> texts{};
  if (::getgrnam_r(group.c_str(), &entry, texts.data(), texts.size(), &found) != 0 || found == nullptr) return false;
  return std::ranges::find(groups, entry.gr_gid) != groups.end();
}

std::optional<Person> mta_user() {
  for (const char* name : {"postfix", "smmta"}) {
    if (auto person = Person::named(name)) return person;
  }
  return std::nullopt;
}

}  // namespace replygate
