#include "tests/support/faulty_vfs.h"

#include <fstream>
#include <sstream>
#include <utility>

namespace replygate::test {

struct FaultyVfs::File {
  sqlite3_file base;
  FaultyVfs* owner;
  sqlite3_file* real;
  const char* path;  // SQLite keeps it as long as the file is open; null: of a temporary one
};

struct FaultyVfs::Methods {
  static FaultyVfs& owner_of(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }
  static FaultyVfs& owner_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file)->owner; }
  static const char* path_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->path; }
  static void note(sqlite3_file* file, Change change) {
    if (path_of(file) != nullptr) owner_of(file).note(path_of(file), std::move(change));
  }
  static sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

  template <auto member, typename... Arguments>
  static auto pass(sqlite3_file* file, Arguments... arguments) {
    return (real(file)->pMethods->*member)(real(file), arguments...);
  }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    FaultyVfs& owner = owner_of(vfs);
    auto* opened = reinterpret_cast<File*>(file);
    opened->base.pMethods = nullptr;
    opened->owner = &owner;
    opened->real = reinterpret_cast<sqlite3_file*>(opened + 1);
    opened->path = name;
    if (const int code = owner.ask(SQLITE_CANTOPEN); code != SQLITE_OK) return code;
    const int status = owner.base_->xOpen(owner.base_, name, opened->real, flags, out);
    if (opened->real->pMethods != nullptr) opened->base.pMethods = &kMethods;
    if (status == SQLITE_OK && name != nullptr) owner.note_open(name);
    return status;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync) {
    FaultyVfs& owner = owner_of(vfs);
    if (const int code = owner.ask(SQLITE_IOERR_DELETE); code != SQLITE_OK) return code;
    owner.note_removal(name);
    return owner.base_->xDelete(owner.base_, name, sync);
  }
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    FaultyVfs& owner = owner_of(vfs);
    if (const int code = owner.ask(SQLITE_IOERR_ACCESS); code != SQLITE_OK) return code;
    return owner.base_->xAccess(owner.base_, name, flags, out);
  }
  static int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out) {
    return owner_of(vfs).base_->xFullPathname(owner_of(vfs).base_, name, size, out);
  }

  static int read(sqlite3_file* file, void* into, int size, sqlite3_int64 at) {
    const int code = owner_of(file).ask(SQLITE_IOERR_READ);
    return code != SQLITE_OK ? code : real(file)->pMethods->xRead(real(file), into, size, at);
  }
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    const int code = owner_of(file).ask(SQLITE_IOERR_WRITE);
    if (code != SQLITE_OK) return code;
    note(file, {at, std::string(static_cast<const char*>(from), static_cast<std::size_t>(size)), false});
    return real(file)->pMethods->xWrite(real(file), from, size, at);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    const int code = owner_of(file).ask(SQLITE_IOERR_TRUNCATE);
    if (code != SQLITE_OK) return code;
    note(file, {size, "", true});
    return real(file)->pMethods->xTruncate(real(file), size);
  }
  static int sync(sqlite3_file* file, int flags) {
    owner_of(file).wait();
    const int code = owner_of(file).ask(SQLITE_IOERR_FSYNC);
    if (code != SQLITE_OK) return code;
    const int status = real(file)->pMethods->xSync(real(file), flags);
    if (status == SQLITE_OK && path_of(file) != nullptr) owner_of(file).note_sync(path_of(file));
    return status;
  }
  static int size(sqlite3_file* file, sqlite3_int64* out) {
    const int code = owner_of(file).ask(SQLITE_IOERR_FSTAT);
    return code != SQLITE_OK ? code : real(file)->pMethods->xFileSize(real(file), out);
  }

  static const sqlite3_io_methods kMethods;
};

const sqlite3_io_methods FaultyVfs::Methods::kMethods = {
    .iVersion = 2,
    .xClose = pass<&sqlite3_io_methods::xClose>,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = sync,
    .xFileSize = size,
    .xLock = pass<&sqlite3_io_methods::xLock>,
    .xUnlock = pass<&sqlite3_io_methods::xUnlock>,
    .xCheckReservedLock = pass<&sqlite3_io_methods::xCheckReservedLock>,
    .xFileControl = pass<&sqlite3_io_methods::xFileControl>,
    .xSectorSize = pass<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = pass<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = pass<&sqlite3_io_methods::xShmMap>,
    .xShmLock = pass<&sqlite3_io_methods::xShmLock>,
    .xShmBarrier = pass<&sqlite3_io_methods::xShmBarrier>,
    .xShmUnmap = pass<&sqlite3_io_methods::xShmUnmap>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

FaultyVfs::FaultyVfs() : base_(sqlite3_vfs_find(nullptr)), vfs_(*base_) {
  vfs_.zName = "faulty";
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
  vfs_.xOpen = Methods::open;
  vfs_.xDelete = Methods::remove;
  vfs_.xAccess = Methods::access;
  vfs_.xFullPathname = Methods::full_path;
  sqlite3_vfs_register(&vfs_, 1);
}

FaultyVfs::~FaultyVfs() {
  hang(false);
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(base_, 1);
}

void FaultyVfs::fail(int code, std::int64_t first, std::int64_t count) {
  const std::lock_guard lock(mutex_);
  code_ = code;
  first_ = calls_ + first;
  count_ = count;
}

std::int64_t FaultyVfs::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void FaultyVfs::hang(bool on) {
  {
    const std::lock_guard lock(mutex_);
    hanging_ = on;
  }
  go_on_.notify_all();
}

void FaultyVfs::apply(const Change& change, std::string& content) {
  const auto at = static_cast<std::size_t>(change.at);
  if (change.truncates) return content.resize(at);
  if (content.size() < at + change.octets.size()) content.resize(at + change.octets.size());
  content.replace(at, change.octets.size(), change.octets);
}

void FaultyVfs::note(const std::string& path, Change change) {
  const std::lock_guard lock(mutex_);
  if (records(path)) disk_[path].written.push_back(std::move(change));
}

void FaultyVfs::note_sync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!records(path)) return;
  Image& image = disk_[path];
  for (const Change& change : image.written) apply(change, image.synced);
  image.written.clear();
}

void FaultyVfs::note_open(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  const std::lock_guard lock(mutex_);
  if (records(path)) disk_.try_emplace(path, Image{content.str(), {}});
}

void FaultyVfs::note_removal(const std::string& path) {
  const std::lock_guard lock(mutex_);
  disk_.erase(path);
}

void FaultyVfs::record(std::string folder) {
  const std::lock_guard lock(mutex_);
  recorded_ = std::move(folder);
}

void FaultyVfs::cut_power(std::int64_t call, std::function<void()> cut) {
  const std::lock_guard lock(mutex_);
  cut_at_ = calls_ + call;
  on_cut_ = std::move(cut);
  was_cut_ = false;
}

bool FaultyVfs::was_cut() const {
  const std::lock_guard lock(mutex_);
  return was_cut_;
}

// Nothing of it, all of it, or sectors as the disk happened to take them.
void FaultyVfs::write_remains(const std::string& folder, std::mt19937_64& random) const {
  constexpr std::size_t kSector = 512;
  const std::lock_guard lock(mutex_);
  const auto way = random() % 3;
  for (const auto& [path, image] : remains_) {
    std::string content = image.synced;
    for (const Change& change : image.written) {
      if (way == 0) break;
      if (way == 1 || change.truncates) {
        if (way == 1 || random() % 2 == 0) apply(change, content);
        continue;
      }
      for (std::size_t from = 0; from < change.octets.size(); from += kSector) {
        const Change part{change.at + static_cast<std::int64_t>(from), change.octets.substr(from, kSector), false};
        if (random() % 2 == 0) apply(part, content);
      }
    }
    std::ofstream(folder + '/' + path.substr(path.rfind('/') + 1), std::ios::binary) << content;
  }
}

int FaultyVfs::ask(int code_of_kind) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (calls_ == cut_at_) {
    remains_ = disk_;
    was_cut_ = true;
    on_cut_();
  }
  if (calls_ < first_ || calls_ >= first_ + count_) return SQLITE_OK;
  return code_ == SQLITE_IOERR ? code_of_kind : code_;
}

void FaultyVfs::wait() {
  std::unique_lock lock(mutex_);
  go_on_.wait(lock, [this] { return !hanging_; });
}

}  // namespace replygate::test
