#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace replygate::test {

// A folder for one test, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "replygate-test.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(std::string_view name) const { return (path_ / name).string(); }
  void write(std::string_view name, std::string_view text) const {
    const std::string beside = file(std::string(name) + ".new");
    std::ofstream(beside) << text;
    std::filesystem::rename(beside, file(name));  // as who is careful does, and with another inode
  }

 private:
  std::filesystem::path path_;
};

}  // namespace replygate::test
