// Modules of decant that are loaded when they are first needed, because the libraries behind them take long to load.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "codec/io/installation.h"

namespace decant {

// What messages say of a module.
struct ModuleText {
    const char* file;         // "decant_opencv.so"
    const char* purpose;      // who needs it, with the verb: "JPEG and TIFF need"
    const char* library;      // what it is built on, if that is what is missing: "OpenCV's imgcodecs library"
    const char* alternative;  // how to do without, after "install it there": ", or use PNG"
};

class SharedModule {
public:
    // Loads the module from the first of the folders (module_folders()) that has it. `text` must outlive it.
    // Throws Error(unsupported) that names the folders, or the library that is missing.
    SharedModule(const ModuleText& text, std::span<const std::string> folders);

    // Throws Error(unsupported) where the module has no function of that name.
    template <typename Function>
    Function function(const char* name) const {
        return reinterpret_cast<Function>(symbol(name));
    }

private:
    void* symbol(const char* name) const;

    struct Closer {
        void operator()(void* library) const;
    };
    const ModuleText& text_;
    std::unique_ptr<void, Closer> library_;
};

}  // namespace decant
