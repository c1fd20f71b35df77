#include "milter/outcome/past_log.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <system_error>

namespace replygate {
namespace {

constexpr std::size_t kLogBlock = std::size_t{256} << 10U;

void support_formats(archive* a) {
  archive_read_support_filter_gzip(a);
  archive_read_support_filter_xz(a);
  archive_read_support_filter_zstd(a);
  archive_read_support_filter_bzip2(a);
  archive_read_support_format_raw(a);
  archive_read_support_format_empty(a);
}

// What libarchive says of a file that is cut off differs from filter to filter.
std::string why_it_ended(archive* a) {
  const char* why = archive_error_string(a);
  const std::string_view text = why == nullptr ? "it is damaged" : why;
  const bool cut = text.find("runcated") != text.npos || text.find("No progress is possible") != text.npos;
  return fmt::format("{}; what stands behind is left out", cut ? "it ends early" : text);
}

}  // namespace

void PastLog::Close::operator()(archive* a) const { archive_read_free(a); }

tl::expected<std::unique_ptr<PastLog>, std::string> PastLog::open(const std::string& path) {
  const bool pipe = path == "-";
  auto file = std::make_unique<Descriptor>(pipe ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file->get() < 0) return tl::unexpected(fmt::format("{}: {}", path, std::generic_category().message(errno)));
  return open(std::move(file), path);
}

tl::expected<std::unique_ptr<PastLog>, std::string> PastLog::open(std::unique_ptr<Descriptor> file,
                                                                  const std::string& path) {
  struct stat s{};
  if (::fstat(file->get(), &s) != 0) {
    return tl::unexpected(fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  if (S_ISDIR(s.st_mode)) {
    return tl::unexpected(fmt::format("{}: it is a folder; name the files of the log", path));
  }
  std::unique_ptr<PastLog> log(new PastLog);
  log->path_ = path;
  log->file_ = std::move(file);
  log->size_ = S_ISREG(s.st_mode) ? s.st_size : 0;
  log->written_ = S_ISREG(s.st_mode) ? Instant(std::chrono::seconds(s.st_mtim.tv_sec))
                                     : std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  log->begin();
  return log;
}

void PastLog::begin() {
  archive_.reset(archive_read_new());
  support_formats(archive_.get());
  archive_entry* entry = nullptr;
  const bool opened = archive_read_open_fd(archive_.get(), file_->get(), kLogBlock) == ARCHIVE_OK;
  const int header = opened ? archive_read_next_header(archive_.get(), &entry) : ARCHIVE_FATAL;
  over_ = header != ARCHIVE_OK;
  block_.resize(kLogBlock);
  if (over_ && header != ARCHIVE_EOF) trouble_ = fmt::format("{}: {}", path_, why_it_ended(archive_.get()));
}

std::int64_t PastLog::consumed() const { return archive_filter_bytes(archive_.get(), -1); }

std::string_view PastLog::octets() {
  if (over_) return {};
  const la_ssize_t read = archive_read_data(archive_.get(), block_.data(), block_.size());
  if (read > 0) return std::string_view(block_).substr(0, static_cast<std::size_t>(read));
  over_ = true;
  if (read < 0) trouble_ = fmt::format("{}: {}", path_, why_it_ended(archive_.get()));
  return {};
}

}  // namespace replygate
