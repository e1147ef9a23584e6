// Whole files in and out. "-" is standard input or output, decided here and nowhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace decant {

// A file descriptor that closes itself.
class FileDescriptor {
public:
    explicit FileDescriptor(int value = -1) : value_(value) {}
    ~FileDescriptor();
    FileDescriptor(FileDescriptor&& other) noexcept : value_(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    int get() const { return value_; }
    bool is_open() const { return value_ >= 0; }
    int release();

private:
    int value_;
};

// All bytes of a file, or of standard input up to its end for "-".
// Throws Error: not_found, or io for a folder, missing permission or a failing read; messages carry the system's reason.
std::vector<std::uint8_t> read_file(const std::string& path);

// A regular file of which parts are wanted.
class FileReader {
public:
    // None for what is not a regular file, such as a pipe, or cannot be opened: read_file says why.
    static std::optional<FileReader> open(const std::string& path);

    std::uint64_t size() const { return size_; }
    // Fills `target` with the bytes from `offset` on. Throws Error(io), also where the file has become shorter.
    void read(std::uint64_t offset, std::span<std::uint8_t> target) const;

private:
    FileReader(std::string name, FileDescriptor file, std::uint64_t size) : name_(std::move(name)), file_(std::move(file)), size_(size) {}

    std::string name_;
    FileDescriptor file_;
    std::uint64_t size_;
};

// The bytes of a file, read when they are asked for: those that nobody asks for take neither time nor memory.
class LazyFile {
public:
    // Throws as read_file. What is not a regular file is read at once.
    explicit LazyFile(const std::string& path);
    ~LazyFile();
    LazyFile(const LazyFile&) = delete;
    LazyFile& operator=(const LazyFile&) = delete;

    std::span<const std::uint8_t> bytes() const { return bytes_; }  // 0 where they are not fetched
    void fetch(std::size_t offset, std::size_t length);

private:
    std::optional<FileReader> file_;
    std::vector<std::uint8_t> all_;
    std::span<std::uint8_t> bytes_;
};

struct FileWriteOptions {
    bool overwrite = false;            // replace a file that exists
    bool sync = false;                 // return only when the bytes are on the disk; slow
    std::string attributes_from = {};  // a file whose modification time and permissions the result gets; empty or "-": none
};

// A file that appears complete or not at all. The bytes go into a file without a name (open(2), O_TMPFILE), so that nothing is left
// behind even where the program is killed, or, on file systems that have no such thing, into ".NAME.decant-XXXXXX" in the target's
// folder; `commit` gives it its name. Without `commit`, or after any failure, it is gone, and the target is as it was.
//
// A target that is a symbolic link stays one: the file behind it is replaced. A target that is a device or a pipe, such
// as /dev/null, is written to directly, since replacing it would destroy it; "-" is standard output.
class AtomicFile {
public:
    // Throws Error: exists (unless `overwrite`), not_found (no such folder), io (a folder in its place, read-only, ...).
    explicit AtomicFile(const std::string& path, const FileWriteOptions& options = {});
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    // Appends. Throws Error(io), for example when the disk is full.
    void write(std::span<const std::uint8_t> bytes);

    // Makes the file appear; to be called once, after the last `write`. Without `overwrite` a file that somebody else
    // made in the meantime is kept: Error(exists). Throws Error(io) otherwise.
    void commit();

private:
    void open_temporary();
    std::string nameless_path() const;
    void name_file(const std::string& path);
    void rename_to_target();

    FileWriteOptions options_;
    std::string name_;       // as the caller gave it, for messages
    std::string target_;     // symbolic links resolved; empty when written to directly
    std::string temporary_;  // empty while the file has no name, and once it is renamed or removed
    FileDescriptor file_;
};

// AtomicFile in one call.
void write_file_atomically(const std::string& path, std::span<const std::uint8_t> bytes, const FileWriteOptions& options = {});

// Gives `target` the modification time and the permission bits of `source`. Throws Error(not_found or io).
void copy_time_and_mode(const std::string& source, const std::string& target);

}  // namespace decant
