// Files appear whole or not at all; errors say why.
#include "codec/io/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;
namespace fs = std::filesystem;

namespace {

// An empty folder that is removed again.
class Folder {
public:
    Folder() : path_((fs::temp_directory_path() / "decant-files-XXXXXX").string()) { REQUIRE(mkdtemp(path_.data()) != nullptr); }
    ~Folder() { fs::remove_all(path_); }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

private:
    std::string path_;
};

void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::string get(const std::string& path) {
    const auto bytes = read_file(path);
    return {bytes.begin(), bytes.end()};
}

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

// Exchanges one of the standard descriptors while it lives.
class Redirected {
public:
    Redirected(int standard, int replacement) : standard_(standard), saved_(dup(standard)) { dup2(replacement, standard); }
    ~Redirected() {
        dup2(saved_, standard_);
        close(saved_);
    }

private:
    int standard_;
    int saved_;
};

}  // namespace

TEST_CASE("read_file returns all bytes, of files with and without a size") {
    const Folder folder;
    put(folder.file("empty"), "");
    CHECK(read_file(folder.file("empty")).empty());
    const std::string large(3'000'001, 'x');
    put(folder.file("large"), large);
    CHECK(get(folder.file("large")) == large);
    CHECK(get("/proc/self/status").starts_with("Name:"));
}

TEST_CASE("read_file names the file and the system's reason") {
    const Folder folder;
    const Failure missing = failure_of([&] { read_file(folder.file("none")); });
    CHECK(missing.code == ErrorCode::not_found);
    CHECK(contains(missing.message, folder.file("none") + ": cannot be opened: No such file or directory"));
    const Failure directory = failure_of([&] { read_file(folder.file("")); });
    CHECK(directory.code == ErrorCode::io);
    CHECK(contains(directory.message, "is a folder"));
    put(folder.file("plain"), "");
    CHECK(failure_of([&] { read_file(folder.file("plain/below")); }).code == ErrorCode::not_found);
}

TEST_CASE("- reads standard input to its end and writes standard output") {
    const Folder folder;
    put(folder.file("in"), "from a pipe");
    {
        const FileDescriptor input(open(folder.file("in").c_str(), O_RDONLY));
        const Redirected redirected(STDIN_FILENO, input.get());
        CHECK(get("-") == "from a pipe");
    }
    {
        const FileDescriptor output(open(folder.file("out").c_str(), O_WRONLY | O_CREAT, 0600));
        const Redirected redirected(STDOUT_FILENO, output.get());
        write_file_atomically("-", bytes_of("to a pipe"));
    }
    CHECK(get(folder.file("out")) == "to a pipe");
}

TEST_CASE("a written file is complete, alone in its folder, and has the permissions of a new file") {
    const Folder folder;
    for (const bool sync : {false, true}) {
        const std::string path = folder.file(sync ? "synced" : "plain");
        write_file_atomically(path, bytes_of("content"), {.sync = sync});
        CHECK(get(path) == "content");
        const mode_t mask = umask(0);
        umask(mask);
        CHECK(mode_of(path) == (0666 & ~mask));
    }
    CHECK(folder.entries() == 2);
}

TEST_CASE("nothing appears before commit, and nothing stays without it") {
    const Folder folder;
    {
        AtomicFile file(folder.file("a"));
        file.write(bytes_of("half"));
        CHECK_FALSE(fs::exists(folder.file("a")));
        // Without a name, or with one of its own where the file system cannot do without.
        for (const auto& entry : fs::directory_iterator(folder.file(""))) {
            const std::string name = entry.path().filename().string();
            CHECK(name.starts_with(".a.decant-"));
            CHECK(name.size() == std::string(".a.decant-XXXXXX").size());
        }
    }
    CHECK(folder.entries() == 0);
    AtomicFile file(folder.file("a"));
    file.write(bytes_of("one "));
    file.write(bytes_of("two"));
    file.commit();
    CHECK(get(folder.file("a")) == "one two");
    CHECK(failure_of([&] { file.commit(); }).code == ErrorCode::internal);
    CHECK(failure_of([&] { file.write(bytes_of("x")); }).code == ErrorCode::internal);
}

TEST_CASE("an existing file is kept unless overwriting is asked for") {
    const Folder folder;
    put(folder.file("a"), "old");
    const Failure failure = failure_of([&] { write_file_atomically(folder.file("a"), bytes_of("new")); });
    CHECK(failure.code == ErrorCode::exists);
    CHECK(contains(failure.message, folder.file("a")));
    CHECK(get(folder.file("a")) == "old");
    write_file_atomically(folder.file("a"), bytes_of("new"), {.overwrite = true});
    CHECK(get(folder.file("a")) == "new");
    CHECK(folder.entries() == 1);
}

TEST_CASE("a file that appears between opening and commit is kept") {
    const Folder folder;
    {
        AtomicFile file(folder.file("a"));
        file.write(bytes_of("mine"));
        put(folder.file("a"), "theirs");
        CHECK(failure_of([&] { file.commit(); }).code == ErrorCode::exists);
    }
    CHECK(get(folder.file("a")) == "theirs");
    CHECK(folder.entries() == 1);
}

TEST_CASE("folders that are missing, and folders in place of files, are clear errors") {
    const Folder folder;
    const Failure missing = failure_of([&] { write_file_atomically(folder.file("none/a"), bytes_of("x")); });
    CHECK(missing.code == ErrorCode::not_found);
    CHECK(contains(missing.message, "No such file or directory"));
    fs::create_directory(folder.file("sub"));
    for (const bool overwrite : {false, true}) {
        const Failure directory =
            failure_of([&] { write_file_atomically(folder.file("sub"), bytes_of("x"), {.overwrite = overwrite}); });
        CHECK(directory.code == ErrorCode::io);
        CHECK(contains(directory.message, "is a folder"));
    }
    CHECK(folder.entries() == 1);
}

TEST_CASE("a folder that may not be written to is a clear error" * doctest::skip(geteuid() == 0)) {
    const Folder folder;
    fs::create_directory(folder.file("locked"));
    fs::permissions(folder.file("locked"), fs::perms::owner_read | fs::perms::owner_exec);
    const Failure failure = failure_of([&] { write_file_atomically(folder.file("locked/a"), bytes_of("x")); });
    CHECK(failure.code == ErrorCode::io);
    CHECK(contains(failure.message, "Permission denied; check the permissions"));
}

TEST_CASE("a write that fails half-way leaves nothing behind") {
    const Folder folder;
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit small = {1000, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const Failure failure = failure_of([&] { write_file_atomically(folder.file("a"), std::vector<std::uint8_t>(5000)); });
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(failure.code == ErrorCode::io);
    CHECK(contains(failure.message, "File too large"));
    CHECK(folder.entries() == 0);
}

TEST_CASE("a full disk is named") {
    const Failure failure = failure_of([] { write_file_atomically("/dev/full", bytes_of("x")); });
    CHECK(failure.code == ErrorCode::io);
    CHECK(contains(failure.message, "/dev/full: cannot be written: No space left on device; free some space"));
}

TEST_CASE("a device is written to, never replaced") {
    write_file_atomically("/dev/null", bytes_of("x"), {.overwrite = true});
    CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("a symbolic link stays one, and the file behind it is replaced") {
    const Folder folder;
    put(folder.file("real"), "old");
    fs::create_symlink("real", folder.file("link"));
    CHECK(failure_of([&] { write_file_atomically(folder.file("link"), bytes_of("new")); }).code == ErrorCode::exists);
    write_file_atomically(folder.file("link"), bytes_of("new"), {.overwrite = true});
    CHECK(fs::is_symlink(folder.file("link")));
    CHECK(get(folder.file("real")) == "new");
    fs::create_symlink("nowhere", folder.file("dangling"));
    CHECK(failure_of([&] { write_file_atomically(folder.file("dangling"), bytes_of("new")); }).code == ErrorCode::exists);
}

TEST_CASE("names of the longest allowed length work") {
    const Folder folder;
    const std::string name(255, 'n');
    write_file_atomically(folder.file(name), bytes_of("x"));
    CHECK(get(folder.file(name)) == "x");
}

TEST_CASE("modification time and permissions are taken from the source") {
    const Folder folder;
    put(folder.file("source"), "s");
    const timespec times[2] = {{1'000'000'000, 0}, {1'234'567'890, 123'456'789}};
    REQUIRE(utimensat(AT_FDCWD, folder.file("source").c_str(), times, 0) == 0);
    REQUIRE(chmod(folder.file("source").c_str(), 0440) == 0);

    write_file_atomically(folder.file("a"), bytes_of("x"), {.attributes_from = folder.file("source")});
    put(folder.file("b"), "x");
    copy_time_and_mode(folder.file("source"), folder.file("b"));
    for (const char* name : {"a", "b"}) {
        struct stat status {};
        REQUIRE(stat(folder.file(name).c_str(), &status) == 0);
        CHECK(status.st_mtim.tv_sec == 1'234'567'890);
        CHECK(status.st_mtim.tv_nsec == 123'456'789);
        CHECK(mode_of(folder.file(name)) == 0440);
    }

    const Failure failure = failure_of([&] { copy_time_and_mode(folder.file("none"), folder.file("b")); });
    CHECK(failure.code == ErrorCode::not_found);
    CHECK(contains(failure.message, folder.file("none")));
    CHECK(failure_of([&] {
              write_file_atomically(folder.file("c"), bytes_of("x"), {.attributes_from = folder.file("none")});
          }).failed);
    CHECK_FALSE(fs::exists(folder.file("c")));
    write_file_atomically(folder.file("d"), bytes_of("x"), {.attributes_from = "-"});
    CHECK(get(folder.file("d")) == "x");
}

TEST_CASE("parts of a file are read where they are") {
    const Folder folder;
    const std::string path = folder.file("a");
    put(path, "0123456789");
    const auto file = FileReader::open(path);
    REQUIRE(file.has_value());
    CHECK(file->size() == 10);
    std::vector<uint8_t> part(3);
    file->read(4, part);
    CHECK(part == bytes_of("456"));
    file->read(7, part);
    CHECK(part == bytes_of("789"));
    CHECK(failure_of([&] { file->read(8, part); }).code == ErrorCode::io);
    CHECK_FALSE(FileReader::open(folder.file("none")).has_value());
    CHECK_FALSE(FileReader::open("-").has_value());
    CHECK_FALSE(FileReader::open("/dev/null").has_value());
    REQUIRE(mkfifo(folder.file("pipe").c_str(), 0600) == 0);
    CHECK_FALSE(FileReader::open(folder.file("pipe")).has_value());  // without waiting for a writer

    LazyFile lazy(path);
    REQUIRE(lazy.bytes().size() == 10);
    CHECK(lazy.bytes()[5] == 0);
    lazy.fetch(5, 2);
    CHECK(lazy.bytes()[4] == 0);
    CHECK(lazy.bytes()[5] == '5');
    CHECK(lazy.bytes()[6] == '6');
    put(folder.file("empty"), "");
    LazyFile empty(folder.file("empty"));
    CHECK(empty.bytes().empty());
    CHECK(failure_of([&] { LazyFile none(folder.file("none")); }).code == ErrorCode::not_found);
    put(path, "01");  // has become shorter
    CHECK(failure_of([&] { lazy.fetch(8, 2); }).code == ErrorCode::io);
}
