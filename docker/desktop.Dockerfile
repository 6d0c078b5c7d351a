# SPDX-License-Identifier: Apache-2.0
# ROS 2 Jazzy with TensorRT for a desktop GPU. CUDA comes with the wheels, the driver from the host
# (NVIDIA Container Toolkit):
#   docker build -f docker/desktop.Dockerfile -t magadepth:desktop .
#   docker run --rm -it --gpus all --network host --ipc host --device /dev/bus/usb magadepth:desktop
FROM ros:jazzy-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends \
        python3-colcon-common-extensions \
        python3-numpy \
        python3-tqdm \
        python3-opencv \
        python3-venv \
        ros-jazzy-cv-bridge \
        ros-jazzy-diagnostic-msgs \
        ros-jazzy-launch-ros \
        ros-jazzy-message-filters \
        ros-jazzy-realsense2-camera \
        ros-jazzy-sensor-msgs \
        ros-jazzy-std-srvs \
    && rm -rf /var/lib/apt/lists/*

# The distribution's NumPy must stay: the compiled modules of ROS are made for it. setup.py has the oldest
# versions that work.
ENV VIRTUAL_ENV=/opt/venv
RUN python3 -m venv --system-site-packages "$VIRTUAL_ENV"
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
RUN pip install --no-cache-dir \
        "cuda-python>=12.6,<13" \
        "numpy<2" \
        "onnx>=1.16" \
        onnxruntime \
        "openvino>=2024.6" \
        "tensorrt-cu12>=10.3,<11"

WORKDIR /ws
COPY . src/magadepth_ros
RUN . /opt/ros/jazzy/setup.bash && colcon build --packages-select magadepth_ros

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "magadepth_ros", "realsense.launch.py", "backend:=tensorrt"]
