#include "eval/storage/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr size_t kGrowth = 1 << 16;                 // bytes by which the image in memory grows
constexpr hsize_t kMaxChunk = hsize_t{64} << 20;    // bytes; HDF5 allows 4 GiB less one
constexpr hsize_t kMaxElements = hsize_t{1} << 32;  // of a dataset that is read

// A handle of HDF5 with the call that closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {
    if (id < 0) throw std::runtime_error("HDF5 failed");
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT: HDF5's calls take the id
  void Close() { Check(close_(std::exchange(id_, -1))); }
  static void Check(herr_t status) {
    if (status < 0) throw std::runtime_error("HDF5 failed");
  }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// A name that no other open file has: HDF5 takes files in memory for one and the same by their
// names, and would read the bytes of the one that was opened first. The name is not stored.
std::string UniqueName() {
  static std::atomic<int64_t> last = 0;
  return "longrope " + std::to_string(++last);
}

void SilenceErrorStack() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

// The image in memory: HDF5 closes the file by freeing the buffer, so the last free is where the
// finished bytes (flags of an open file cleared) can be taken. H5Fget_file_image comes too early.
struct Image {
  void* data = nullptr;
  ~Image() { std::free(data); }
};

void* ImageMalloc(size_t bytes, H5FD_file_image_op_t, void*) { return std::malloc(bytes); }
void* ImageRealloc(void* data, size_t bytes, H5FD_file_image_op_t, void*) {
  return std::realloc(data, bytes);
}
void* ImageCopy(void* to, const void* from, size_t bytes, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, bytes);
}
herr_t ImageFree(void* data, H5FD_file_image_op_t op, void* udata) {
  if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
    static_cast<Image*>(udata)->data = data;
  } else {
    std::free(data);
  }
  return 0;
}
void* KeepUdata(void* udata) { return udata; }
herr_t DropUdata(void*) { return 0; }

Handle MemoryAccess() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  Handle::Check(H5Pset_fapl_core(access, kGrowth, false));
  Handle::Check(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST));
  return access;
}

}  // namespace

struct Hdf5Writer::Impl {
  Image image;
  Handle access = MemoryAccess();
  Handle file = Create();

  Handle Create() {
    H5FD_file_image_callbacks_t callbacks = {ImageMalloc, ImageCopy, ImageRealloc, ImageFree,
                                             KeepUdata,   DropUdata, &image};
    Handle::Check(H5Pset_file_image_callbacks(access, &callbacks));
    Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    Handle::Check(H5Pset_obj_track_times(creation, false));
    return Handle(H5Fcreate(UniqueName().c_str(), H5F_ACC_EXCL, creation, access), H5Fclose);
  }

  // The library's own way of making parent groups would keep their times.
  void MakeGroups(const std::string& path) {
    Handle properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    Handle::Check(H5Pset_obj_track_times(properties, false));
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string group = path.substr(0, at);
      if (H5Lexists(file, group.c_str(), H5P_DEFAULT) > 0) continue;
      Handle(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT), H5Gclose);
    }
  }

  void Write(const std::string& path, hid_t type, const void* data, int64_t count, int64_t rows) {
    const hsize_t dims[2] = {static_cast<hsize_t>(rows > 0 ? rows : count),
                             static_cast<hsize_t>(rows > 0 ? count / rows : 1)};
    const int rank = rows > 0 ? 2 : 1;
    Handle space(H5Screate_simple(rank, dims, nullptr), H5Sclose);
    Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    Handle::Check(H5Pset_obj_track_times(properties, false));
    if (count > 0) {
      const hsize_t row = H5Tget_size(type) * (rank == 2 ? dims[1] : 1);
      const hsize_t chunk[2] = {std::clamp<hsize_t>(kMaxChunk / row, 1, dims[0]), dims[1]};
      Handle::Check(H5Pset_chunk(properties, rank, chunk));
      Handle::Check(H5Pset_fletcher32(properties));
    }
    MakeGroups(path);
    Handle dataset(
        H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT),
        H5Dclose);
    if (count > 0) Handle::Check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
  }
};

Hdf5Writer::Hdf5Writer() {
  SilenceErrorStack();
  impl_ = std::make_unique<Impl>();
}
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::Write(const std::string& path, std::span<const int64_t> values, int64_t rows) {
  impl_->Write(path, H5T_STD_I64LE, values.data(), static_cast<int64_t>(values.size()), rows);
}

void Hdf5Writer::Write(const std::string& path, std::span<const int32_t> values, int64_t rows) {
  impl_->Write(path, H5T_STD_I32LE, values.data(), static_cast<int64_t>(values.size()), rows);
}

void Hdf5Writer::Write(const std::string& path, std::span<const double> values, int64_t rows) {
  impl_->Write(path, H5T_IEEE_F64LE, values.data(), static_cast<int64_t>(values.size()), rows);
}

void Hdf5Writer::Write(const std::string& path, std::string_view text) {
  impl_->Write(path, H5T_STD_U8LE, text.data(), static_cast<int64_t>(text.size()), 0);
}

std::string Hdf5Writer::Finish() {
  hsize_t size = 0;
  Handle::Check(H5Fflush(impl_->file, H5F_SCOPE_GLOBAL));
  Handle::Check(H5Fget_filesize(impl_->file, &size));
  impl_->file.Close();
  if (impl_->image.data == nullptr) throw std::runtime_error("HDF5 kept its file image");
  return std::string(static_cast<const char*>(impl_->image.data), size);
}

struct Hdf5Reader::Impl {
  std::string bytes, name;
  Handle file = Open();

  Handle Open() {
    Handle access = MemoryAccess();
    const herr_t set = H5Pset_file_image(access, bytes.data(), bytes.size());
    const hid_t id = set < 0 ? -1 : H5Fopen(UniqueName().c_str(), H5F_ACC_RDONLY, access);
    if (id < 0) throw InputError(name + ": is not an HDF5 file");
    return Handle(id, H5Fclose);
  }

  // Reads a dataset of `type` (compared with what is stored) into what resize() makes.
  template <class Container>
  Container Read(const std::string& path, hid_t type) const {
    const std::string where = name + ": dataset " + path;
    const hid_t id = Exists(path) ? H5Dopen2(file, path.c_str(), H5P_DEFAULT) : -1;
    if (id < 0) throw InputError(where + " is missing");
    Handle dataset(id, H5Dclose), stored(H5Dget_type(dataset), H5Tclose);
    Handle space(H5Dget_space(dataset), H5Sclose);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    if (H5Tequal(stored, type) <= 0 || count < 0 || static_cast<hsize_t>(count) > kMaxElements) {
      throw InputError(where + " has an unexpected type or length");
    }
    Container values;
    values.resize(static_cast<size_t>(count));
    if (count > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
      throw InputError(where + " cannot be read");
    }
    return values;
  }

  // H5Lexists wants every parent to exist.
  bool Exists(const std::string& path) const {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      if (H5Lexists(file, path.substr(0, at).c_str(), H5P_DEFAULT) <= 0) return false;
    }
    return H5Lexists(file, path.c_str(), H5P_DEFAULT) > 0;
  }
};

Hdf5Reader::Hdf5Reader(std::string bytes, std::string name) {
  SilenceErrorStack();
  impl_ = std::unique_ptr<Impl>(new Impl{std::move(bytes), std::move(name)});
}
Hdf5Reader::~Hdf5Reader() = default;

bool Hdf5Reader::Has(const std::string& path) const { return impl_->Exists(path); }
std::vector<int64_t> Hdf5Reader::Integers(const std::string& path) const {
  return impl_->Read<std::vector<int64_t>>(path, H5T_STD_I64LE);
}
std::vector<int32_t> Hdf5Reader::ShortIntegers(const std::string& path) const {
  return impl_->Read<std::vector<int32_t>>(path, H5T_STD_I32LE);
}
std::vector<double> Hdf5Reader::Doubles(const std::string& path) const {
  return impl_->Read<std::vector<double>>(path, H5T_IEEE_F64LE);
}
std::string Hdf5Reader::Text(const std::string& path) const {
  return impl_->Read<std::string>(path, H5T_STD_U8LE);
}

}  // namespace longrope
