#include "milter/log/sinks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace replygate {

tl::expected<std::unique_ptr<LogSinks>, std::string> LogSinks::open(const Settings& settings) {
  std::unique_ptr<LogSinks> sinks(new LogSinks(settings.log_format));
  for (const std::string& place : settings.log_sinks) {
    if (place == "stdout") {
      sinks->writers_.push_back(std::make_unique<Writer>(STDOUT_FILENO, false, place));
      continue;
    }
    const std::string path = place.substr(place.find(':') + 1);
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
      return tl::unexpected(fmt::format("cannot open the log {}: {}", path, std::generic_category().message(errno)));
    }
    sinks->writers_.push_back(std::make_unique<Writer>(fd, true, path));
  }
  return sinks;
}

void LogSinks::close() {
  for (const auto& writer : writers_) writer->close();
}

void LogSinks::write(const Record& record) {
  if (writers_.empty()) return;
  const std::string entry = format_ == LogFormat::json ? to_json(record) : to_logfmt(record);
  for (const auto& writer : writers_) writer->write(entry);
}

}  // namespace replygate
