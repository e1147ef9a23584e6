#include "codec/io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <new>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include "codec/error.h"

namespace decant {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t block_size = std::size_t{1} << 20;

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void throw_io(const std::string& name, const std::string& what, int error) {
    const bool is_missing = error == ENOENT || error == ENOTDIR;
    std::string advice;
    if (error == ENOSPC || error == EDQUOT) advice = "; free some space or write elsewhere";
    if (error == EACCES || error == EPERM || error == EROFS) advice = "; check the permissions or write elsewhere";
    throw Error(is_missing ? ErrorCode::not_found : ErrorCode::io, name + ": " + what + ": " + reason(error) + advice);
}

[[noreturn]] void throw_exists(const std::string& name) {
    throw Error(ErrorCode::exists, name + ": exists already; choose another name or allow overwriting");
}

[[noreturn]] void throw_folder(const std::string& name, const char* role) {
    throw Error(ErrorCode::io, name + ": is a folder, not a file that can be " + role);
}

template <typename Call>
auto retry_interrupted(const Call& call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

int open_file(const char* path, int flags, mode_t mode = 0) {
    return retry_interrupted([&] { return open(path, flags | O_CLOEXEC, mode); });
}

std::string folder_of(const std::string& path) {
    const std::string folder = fs::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
}

// ".NAME.decant-XXXXXX", NAME shortened where the whole would be too long for a file name.
std::string temporary_name(const std::string& target, std::random_device& random) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    constexpr std::size_t longest_name = 255, own_length = std::string_view("..decant-XXXXXX").size();
    std::string name = fs::path(target).filename().string();
    name.resize(std::min(name.size(), longest_name - own_length));
    std::string path = folder_of(target) + "/." + name + ".decant-";
    for (int i = 0; i < 6; ++i) path += letters[random() % letters.size()];
    return path;
}

// Renames without replacing anything; 0 or an errno.
int rename_new(const std::string& from, const std::string& to) {
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // File systems without that flag usually have hard links, which never replace anything either.
    if (link(from.c_str(), to.c_str()) == 0) {
        unlink(from.c_str());
        return 0;
    }
    if (errno == EEXIST) return EEXIST;
    // Neither: look, then rename. Somebody quick enough in between loses.
    if (access(to.c_str(), F_OK) == 0) return EEXIST;
    return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
    if (value_ >= 0) close(value_);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
        if (value_ >= 0) close(value_);
        value_ = other.release();
    }
    return *this;
}

int FileDescriptor::release() { return std::exchange(value_, -1); }

std::vector<std::uint8_t> read_file(const std::string& path) {
    const bool from_stdin = path == "-";
    const std::string name = from_stdin ? "standard input" : path;
    const FileDescriptor file(from_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open_file(path.c_str(), O_RDONLY));
    if (!file.is_open()) throw_io(name, "cannot be opened", errno);
    struct stat status {};
    if (fstat(file.get(), &status) != 0) throw_io(name, "cannot be read", errno);
    if (S_ISDIR(status.st_mode)) throw_folder(name, "read");

    // One byte more than the size, so that the end is seen without growing. Pipes and /proc report no size.
    std::vector<std::uint8_t> bytes(S_ISREG(status.st_mode) && status.st_size > 0 ? static_cast<std::size_t>(status.st_size) + 1
                                                                                  : block_size);
    std::size_t used = 0;
    while (true) {
        if (used == bytes.size()) bytes.resize(bytes.size() * 2);
        const ssize_t count = retry_interrupted([&] { return read(file.get(), bytes.data() + used, bytes.size() - used); });
        if (count < 0) throw_io(name, "cannot be read", errno);
        if (count == 0) break;
        used += static_cast<std::size_t>(count);
    }
    bytes.resize(used);
    return bytes;
}

std::optional<FileReader> FileReader::open(const std::string& path) {
    if (path == "-") return std::nullopt;
    // Asked before it is opened: to open a named pipe and close it again would break it for who writes into it.
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    FileDescriptor file(open_file(path.c_str(), O_RDONLY));
    if (!file.is_open() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return FileReader(path, std::move(file), static_cast<std::uint64_t>(status.st_size));
}

void FileReader::read(std::uint64_t offset, std::span<std::uint8_t> target) const {
    while (!target.empty()) {
        const ssize_t count =
            retry_interrupted([&] { return pread(file_.get(), target.data(), target.size(), static_cast<off_t>(offset)); });
        if (count < 0) throw_io(name_, "cannot be read", errno);
        if (count == 0) throw Error(ErrorCode::io, name_ + ": has become shorter while it was read");
        offset += static_cast<std::uint64_t>(count);
        target = target.subspan(static_cast<std::size_t>(count));
    }
}

LazyFile::LazyFile(const std::string& path) : file_(FileReader::open(path)) {
    if (!file_ || file_->size() == 0) {
        file_.reset();
        all_ = read_file(path);
        bytes_ = all_;
        return;
    }
    const auto size = static_cast<std::size_t>(file_->size());
    // Pages that are never written to take no memory.
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    bytes_ = {static_cast<std::uint8_t*>(memory), size};
}

LazyFile::~LazyFile() {
    if (file_) munmap(bytes_.data(), bytes_.size());
}

void LazyFile::fetch(std::size_t offset, std::size_t length) {
    if (file_) file_->read(offset, bytes_.subspan(offset, length));
}

AtomicFile::AtomicFile(const std::string& path, const FileWriteOptions& options)
    : options_(options), name_(path == "-" ? "standard output" : path) {
    if (path == "-") {
        file_ = FileDescriptor(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
        if (!file_.is_open()) throw_io(name_, "cannot be written", errno);
        return;
    }
    struct stat status {};
    const bool is_there = stat(path.c_str(), &status) == 0;
    if (is_there && S_ISDIR(status.st_mode)) throw_folder(name_, "written");
    if (is_there && !S_ISREG(status.st_mode)) {
        file_ = FileDescriptor(open_file(path.c_str(), O_WRONLY));
        if (!file_.is_open()) throw_io(name_, "cannot be written", errno);
        return;
    }
    struct stat link_status {};
    const bool is_taken = is_there || lstat(path.c_str(), &link_status) == 0;  // a link to nothing is there, too
    if (is_taken && !options_.overwrite) throw_exists(name_);
    std::error_code failure;
    target_ = is_there ? fs::canonical(path, failure).string() : path;
    if (failure) throw_io(name_, "cannot be written", failure.value());
    open_temporary();
}

// By which the file behind a descriptor can be named.
std::string AtomicFile::nameless_path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

void AtomicFile::open_temporary() {
    file_ = FileDescriptor(open_file(folder_of(target_).c_str(), O_TMPFILE | O_WRONLY, 0666));
    if (file_.is_open() && access(nameless_path().c_str(), F_OK) == 0) return;
    std::random_device random;
    constexpr int attempts = 100;
    for (int i = 0; i < attempts; ++i) {
        const std::string candidate = temporary_name(target_, random);
        // Not mkstemp: this way the permissions are those of any new file, by the user's mask.
        file_ = FileDescriptor(open_file(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
        if (file_.is_open()) {
            temporary_ = candidate;
            return;
        }
        if (errno != EEXIST) throw_io(name_, "cannot be created in folder " + folder_of(target_), errno);
    }
    throw_io(name_, "no free temporary name in folder " + folder_of(target_), EEXIST);
}

// Throws Error(exists) for a path that is taken.
void AtomicFile::name_file(const std::string& path) {
    if (linkat(AT_FDCWD, nameless_path().c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return;
    if (errno == EEXIST) throw_exists(name_);
    throw_io(name_, "cannot be named", errno);
}

AtomicFile::~AtomicFile() {
    if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::uint8_t> bytes) {
    if (!file_.is_open()) throw Error(ErrorCode::internal, name_ + ": written to after it was finished");
    while (!bytes.empty()) {
        const ssize_t count = retry_interrupted([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
        if (count < 0) throw_io(name_, "cannot be written", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

void AtomicFile::rename_to_target() {
    int error = 0;
    if (!options_.overwrite)
        error = rename_new(temporary_, target_);
    else if (rename(temporary_.c_str(), target_.c_str()) != 0)
        error = errno;
    if (error == EEXIST) throw_exists(name_);
    if (error != 0) throw_io(name_, "cannot be renamed from " + temporary_, error);
    temporary_.clear();
}

void AtomicFile::commit() {
    if (!file_.is_open()) throw Error(ErrorCode::internal, name_ + ": finished twice");
    if (options_.sync && !target_.empty() && fsync(file_.get()) != 0) throw_io(name_, "cannot be written", errno);
    const bool is_nameless = !target_.empty() && temporary_.empty();
    if (!target_.empty() && !options_.attributes_from.empty() && options_.attributes_from != "-")
        copy_time_and_mode(options_.attributes_from, is_nameless ? nameless_path() : temporary_);
    if (is_nameless && options_.overwrite) {
        // A link replaces nothing, a name does: for this moment the file has one of its own.
        std::random_device random;
        const std::string candidate = temporary_name(target_, random);
        name_file(candidate);
        temporary_ = candidate;
    } else if (is_nameless) {
        name_file(target_);
    }
    // Network file systems report a full disk only here.
    if (close(file_.release()) != 0 && errno != EINTR) throw_io(name_, "cannot be written", errno);
    if (!temporary_.empty()) rename_to_target();
    // The name is on the disk only when the folder is.
    if (options_.sync && !target_.empty()) {
        const FileDescriptor folder(open_file(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY));
        if (!folder.is_open() || fsync(folder.get()) != 0) throw_io(name_, "its folder cannot be brought to the disk", errno);
    }
}

void write_file_atomically(const std::string& path, std::span<const std::uint8_t> bytes, const FileWriteOptions& options) {
    AtomicFile file(path, options);
    file.write(bytes);
    file.commit();
}

void copy_time_and_mode(const std::string& source, const std::string& target) {
    struct stat status {};
    if (stat(source.c_str(), &status) != 0) throw_io(source, "its modification time cannot be read", errno);
    // Time first: it can be set by the owner whatever the permissions, and a failure leaves these alone.
    const std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, status.st_mtim};
    if (utimensat(AT_FDCWD, target.c_str(), times.data(), 0) != 0) throw_io(target, "its modification time cannot be set", errno);
    // Not the set-user-id and similar bits: the content is not what they were given to.
    if (chmod(target.c_str(), status.st_mode & 0777) != 0) throw_io(target, "its permissions cannot be set", errno);
}

}  // namespace decant
