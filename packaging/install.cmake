# What cmake --install puts where, and what cpack makes of it. The program and the library find models and modules by the way from
# their own folder (codec/io/installation.cpp), so that the tree may be moved.

# Debian's folder for libraries of one architecture under every prefix, as a build for /usr has it: cpack moves a tree to /usr.
if(CMAKE_LIBRARY_ARCHITECTURE)
  set(CMAKE_INSTALL_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE} CACHE PATH "libraries, below the prefix")
endif()
include(GNUInstallDirs)
set(DECANT_INSTALL_MODULES ${CMAKE_INSTALL_LIBDIR}/decant)
set(DECANT_INSTALL_MODELS ${CMAKE_INSTALL_DATADIR}/decant/models)

# Where one installed folder is, seen from another.
function(find_way result from to)
  cmake_path(ABSOLUTE_PATH from BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX})
  cmake_path(ABSOLUTE_PATH to BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} NORMALIZE)
  cmake_path(RELATIVE_PATH to BASE_DIRECTORY ${from} OUTPUT_VARIABLE way)
  set(${result} ${way} PARENT_SCOPE)
endfunction()
function(define_way name from to)
  find_way(way ${from} ${to})
  set_property(SOURCE codec/io/installation.cpp APPEND PROPERTY COMPILE_DEFINITIONS ${name}="${way}")
endfunction()
define_way(DECANT_PROGRAM_TO_PREFIX ${CMAKE_INSTALL_BINDIR} .)
define_way(DECANT_LIBRARY_TO_PREFIX ${CMAKE_INSTALL_LIBDIR} .)
define_way(DECANT_PREFIX_TO_MODULES . ${DECANT_INSTALL_MODULES})
define_way(DECANT_PREFIX_TO_MODELS . ${DECANT_INSTALL_MODELS})

install(TARGETS decant)

# What tools/manual makes of the table of options.
install(DIRECTORY ${CMAKE_BINARY_DIR}/manual_pages/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/manual_pages/bash/ DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY ${CMAKE_BINARY_DIR}/manual_pages/zsh/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(DIRECTORY ${CMAKE_BINARY_DIR}/manual_pages/fish/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# For desktops: the type of the files; a loader for viewers that use gdk-pixbuf, and thumbnails through it, which are turned as EXIF says.
install(FILES desktop/decant.xml DESTINATION ${CMAKE_INSTALL_DATADIR}/mime/packages)
if(TARGET decant_gdk_pixbuf)
  pkg_get_variable(GDK_PIXBUF_BINARY_VERSION gdk-pixbuf-2.0 gdk_pixbuf_binary_version)
  set(DECANT_INSTALL_LOADERS ${CMAKE_INSTALL_LIBDIR}/gdk-pixbuf-2.0/${GDK_PIXBUF_BINARY_VERSION}/loaders)
  find_way(way ${DECANT_INSTALL_LOADERS} ${CMAKE_INSTALL_LIBDIR})
  set_target_properties(decant_gdk_pixbuf PROPERTIES INSTALL_RPATH "$ORIGIN/${way}")
  install(TARGETS decant_gdk_pixbuf DESTINATION ${DECANT_INSTALL_LOADERS})
  install(FILES desktop/decant.thumbnailer DESTINATION ${CMAKE_INSTALL_DATADIR}/thumbnailers)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libgdk-pixbuf2.0-bin)
endif()

# The library, its header, and how CMake and pkg-config find them.
install(TARGETS libdecant EXPORT decant INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/decant DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(DECANT_INSTALL_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/decant)
install(EXPORT decant NAMESPACE decant:: FILE decantConfig.cmake DESTINATION ${DECANT_INSTALL_CMAKE})
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/decantConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/decantConfigVersion.cmake DESTINATION ${DECANT_INSTALL_CMAKE})
find_way(DECANT_PKGCONFIG_TO_PREFIX ${CMAKE_INSTALL_LIBDIR}/pkgconfig .)
configure_file(packaging/decant.pc.in decant.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/decant.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A developer's build has the module for mpirun in any case; a package should not need MPI.
if(NOT DECANT_MPI)
  list(REMOVE_ITEM DECANT_MODULES decant_mpi)
endif()
install(TARGETS ${DECANT_MODULES} DESTINATION ${DECANT_INSTALL_MODULES})
install(DIRECTORY models/ DESTINATION ${DECANT_INSTALL_MODELS} PATTERN results EXCLUDE)
install(FILES packaging/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "decant <decant@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "learned image compression and denoising")
set(CPACK_PACKAGE_DESCRIPTION 
"decant encodes pictures as .dcn files, with trained networks in the place of
transforms, and decodes them to the same pixels on every x86 CPU. It takes
noise out of photographs and scanned pages as well, and trains models. They
run on oneDNN; those that it needs are part of this package.")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
