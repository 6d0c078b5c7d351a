# SPDX-License-Identifier: Apache-2.0
# ROS 2 Humble on JetPack 6.2 (Orin), whose TensorRT 10.3 and CUDA 12.6 are in the base image:
#   make jetson && make jetson-run
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive \
    LANG=C.UTF-8

# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl \
    && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
        -o /usr/share/keyrings/ros-archive-keyring.gpg \
    && echo "deb [arch=arm64 signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] \
http://packages.ros.org/ros2/ubuntu jammy main" > /etc/apt/sources.list.d/ros2.list \
    && apt-get update && apt-get install -y --no-install-recommends \
        python3-colcon-common-extensions \
        python3-libnvinfer \
        python3-numpy \
        python3-tqdm \
        python3-pip \
        ros-humble-cv-bridge \
        ros-humble-diagnostic-msgs \
        ros-humble-launch-ros \
        ros-humble-message-filters \
        ros-humble-realsense2-camera \
        ros-humble-ros-base \
        ros-humble-sensor-msgs \
        ros-humble-std-srvs \
    && rm -rf /var/lib/apt/lists/*

# setup.py has the oldest versions that work.
RUN pip3 install --no-cache-dir \
        "cuda-python>=12.6,<13" \
        "numpy<2" \
        "onnx>=1.16" \
        onnxruntime \
        "openvino>=2024.6"

WORKDIR /ws
COPY . src/magadepth_ros
RUN . /opt/ros/humble/setup.bash && colcon build --packages-select magadepth_ros

COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "magadepth_ros", "realsense.launch.py", "backend:=tensorrt"]
