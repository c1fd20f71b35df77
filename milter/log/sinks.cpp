#include "milter/log/sinks.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/log/journal.h"
#include "milter/log/syslog.h"
#include "milter/log/writer.h"

namespace replygate {
namespace {

// A file or stdout, in the format of [log].
class Lines final : public LogPlace {
 public:
  Lines(std::unique_ptr<Writer> writer, LogFormat format) : writer_(std::move(writer)), format_(format) {}

  void hear(Rendering& rendering) override {
    lines_ += format_ == LogFormat::json ? rendering.json() : rendering.logfmt();
    ++records_;
    if (lines_.size() >= kTogether) heard_all();
  }
  void heard_all() override {
    if (records_ == 0) return;
    writer_->write(lines_, std::exchange(records_, 0));
    lines_.clear();
  }
  const std::string& name() const override { return writer_->name(); }
  std::int64_t dropped() const override { return writer_->dropped(); }
  std::string trouble() const override { return writer_->trouble(); }
  void close() override { writer_->close(); }

 private:
  static constexpr std::size_t kTogether = std::size_t{64} << 10;

  std::unique_ptr<Writer> writer_;
  const LogFormat format_;
  std::string lines_;  // heard, and not handed over yet
  std::int64_t records_ = 0;
};

}  // namespace

std::string missing_socket(const std::string& place, const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) == 0 && S_ISSOCK(s.st_mode)) return "";
  return fmt::format("there is no {}: nobody listens at {}; its records are lost", place, path);
}

tl::expected<std::unique_ptr<LogSinks>, std::string> LogSinks::open(const Settings& settings) {
  auto sinks = std::make_unique<LogSinks>();
  for (const std::string& place : settings.log_sinks) {
    if (place == "journal") {
      sinks->places_.push_back(std::make_unique<Journal>());
    } else if (place == "syslog") {
      sinks->places_.push_back(std::make_unique<Syslog>());
    } else if (place == "stdout") {
      auto writer = std::make_unique<Writer>(STDOUT_FILENO, false, place);
      sinks->places_.push_back(std::make_unique<Lines>(std::move(writer), settings.log_format));
    } else {
      auto writer = Writer::to_file(place.substr(place.find(':') + 1));
      if (!writer) return tl::unexpected(writer.error());
      sinks->places_.push_back(std::make_unique<Lines>(*std::move(writer), settings.log_format));
    }
  }
  return sinks;
}

void LogSinks::hear(Rendering& rendering) {
  for (const auto& place : places_) place->hear(rendering);
}

void LogSinks::heard_all() {
  for (const auto& place : places_) place->heard_all();
}

std::string LogSinks::trouble() const {
  for (const auto& place : places_) {
    if (std::string trouble = place->trouble(); !trouble.empty()) return trouble;
  }
  return "";
}

void LogSinks::close() {
  for (const auto& place : places_) place->close();
}

}  // namespace replygate
