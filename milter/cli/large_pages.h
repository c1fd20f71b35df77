#pragma once

namespace replygate {

// For commands that read a policy and end: what they allocate from now on stands in large pages, where the kernel has
// them for those who ask. A policy of ten thousand rules is written to ten thousand small pages, and the first touch of
// each costs as much as what is done in it. Without large pages nothing changes. Before there are threads.
void prefer_large_pages();

}  // namespace replygate
