// HDF5 files built and read wholly in memory; the only place that names HDF5.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longrope {

// Builds one file. Equal calls give equal bytes (no times are kept). Latest format, every dataset
// in chunks of at most 64 MiB with Fletcher-32 checksums, most in one. Throws std::runtime_error if
// HDF5 fails. Paths are "/"-separated; parent groups are made as needed.
class Hdf5Writer {
 public:
  Hdf5Writer();
  ~Hdf5Writer();
  // Datasets [values.size()], or [rows, values.size() / rows] where rows > 0; may be empty.
  void Write(const std::string& path, std::span<const int64_t> values, int64_t rows = 0);
  void Write(const std::string& path, std::span<const int32_t> values, int64_t rows = 0);
  void Write(const std::string& path, std::span<const double> values, int64_t rows = 0);
  void Write(const std::string& path, std::string_view text);
  // The finished file; nothing can be written afterwards.
  std::string Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads the bytes of a file that somebody already trusts (see sealed_file.h). Every call throws
// InputError, naming the file and the dataset, if it is missing or of another type or length.
class Hdf5Reader {
 public:
  Hdf5Reader(std::string bytes, std::string name);
  ~Hdf5Reader();
  bool Has(const std::string& path) const;
  std::vector<int64_t> Integers(const std::string& path) const;
  std::vector<int32_t> ShortIntegers(const std::string& path) const;  // of 32 bits
  std::vector<double> Doubles(const std::string& path) const;
  std::string Text(const std::string& path) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longrope
