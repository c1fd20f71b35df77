#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <string>
#include <string_view>

namespace replygate::test {

// Writes a compressed file: `filter` is archive_write_add_filter_gzip or one of its like.
inline void compress(const std::string& path, std::string_view text, int (*filter)(archive*)) {
  archive* a = archive_write_new();
  filter(a);
  archive_write_set_format_raw(a);
  archive_write_open_filename(a, path.c_str());
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(a, entry);
  archive_write_data(a, text.data(), text.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
}

}  // namespace replygate::test
