# Compiles llama.cpp for the tests of the native driver in less than half of the time (CMAKE_PROJECT_llama_cpp_INCLUDE).
# What is left out is what the driver does not use; what computes is optimised as always, what steers it less.
set(LLAMA_BUILD_COMMON OFF)
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
cmake_language(DEFER CALL target_compile_options ggml-cpu PRIVATE -O3)
