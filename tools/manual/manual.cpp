// Writes the manual pages and the completion for shells: manual FOLDER VERSION DATE. The build runs it.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tools/manual/completion.h"
#include "tools/manual/man_page.h"

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file << text;
    if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
    using namespace decant::cli;
    if (argc != 4) {
        std::cerr << "usage: manual FOLDER VERSION DATE\n";
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    const Edition edition{argv[2], argv[3]};
    try {
        write(folder / "man1/decant.1", program_man_page(edition));
        for (const VerbTexts& verb : verb_texts()) write(folder / ("man1/decant-" + verb.name + ".1"), verb_man_page(verb, edition));
        write(folder / "bash/decant", bash_completion());
        write(folder / "zsh/_decant", zsh_completion());
        write(folder / "fish/decant.fish", fish_completion());
    } catch (const std::exception& error) {
        std::cerr << "manual: " << error.what() << "\n";
        return 1;
    }
}
