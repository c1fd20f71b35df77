#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The words by which a record is found. Pure functions, any thread.
namespace replygate {

using WordKey = std::array<unsigned char, 16>;

// Letter case is ignored, and so is what stands behind the first thousand octets. References that were given one after
// the other (policy/decide/refs.h) mostly share a hash, so that those of one block of records are few. Nobody who does
// not know the key can tell which words share one.
std::uint32_t hash_of_word(std::string_view word, const WordKey& key);

// Words in one string, to be hashed later. An empty word is none.
void append_word(std::string& words, std::string_view word);
void append_hashes(std::vector<std::uint32_t>& hashes, std::string_view words, const WordKey& key);

// The lines among `text` that are records (conf/LOG.md) with this very word as a reference, session, queue id, address
// or client; the last one first, `most` at most. Each line ends with LF, which is left out.
std::vector<std::string> lines_with(std::string_view text, std::string_view word, std::size_t most);

}  // namespace replygate
