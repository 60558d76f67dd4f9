// gzip, through zlib: libarchive does not look at its check sums.
#pragma once

#include <memory>
#include <string>

#include "eval/storage/byte_source.h"

namespace longrope {

// What `compressed` holds, one gzip member or several. Reading throws InputError, beginning with
// `name`, where it is not gzip, is cut off, or fails its check sum. Zeros behind the last member
// are padding.
std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> compressed, std::string name);

}  // namespace longrope
